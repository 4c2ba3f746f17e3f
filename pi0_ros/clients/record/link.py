"""The client's side of a recorder: its newest status and its services."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from pi0_msgs.msg import RecorderStatus
from pi0_msgs.srv import SetInstruction, StartEpisode, StopEpisode
from pi0_ros.nodes.managed import LATCHED_QOS

#: Time limit of an answer [s]; ending an episode can take long on a slow disk.
ANSWER_S = 120.0


class RecorderLink:
    """Talks to the recorder ``name`` (absolute). Callbacks run only in :meth:`spin`.

    ``check`` is called between callbacks and may raise.
    """

    def __init__(
        self,
        node: Node,
        executor: Executor,
        name: str,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.status: RecorderStatus | None = None
        self.heard_s = 0.0
        self._executor = executor
        self._check = check
        node.create_subscription(RecorderStatus, f"{name}/status", self._on_status, LATCHED_QOS)
        self._clients = {
            service: node.create_client(kind, f"{name}/{service}")
            for service, kind in (
                ("start_episode", StartEpisode),
                ("stop_episode", StopEpisode),
                ("discard_episode", Trigger),
                ("rerecord_episode", Trigger),
                ("set_instruction", SetInstruction),
            )
        }

    @property
    def connected(self) -> bool:
        """Whether the recorder offers its services and has published a status."""
        return self.status is not None and all(
            client.service_is_ready() for client in self._clients.values()
        )

    def spin(self, timeout_s: float) -> None:
        """Run one callback, or wait at most this long."""
        self._executor.spin_once(timeout_sec=timeout_s)
        self._check()

    def await_(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Spin until the condition holds; false if it did not in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            self.spin(0.05)
        return True

    def start(self, task: str, notes: str) -> Future[Any]:
        """Ask for a new episode."""
        return self._ask("start_episode", StartEpisode.Request(task=task, notes=notes))

    def stop(self, outcome: int) -> Future[Any]:
        """Ask to keep the episode, with this mark (of pi0_msgs/StopEpisode)."""
        return self._ask("stop_episode", StopEpisode.Request(outcome=outcome))

    def discard(self) -> Future[Any]:
        """Ask to remove the episode."""
        return self._ask("discard_episode", Trigger.Request())

    def rerecord(self) -> Future[Any]:
        """Ask to remove the episode and begin again."""
        return self._ask("rerecord_episode", Trigger.Request())

    def instruct(self, text: str) -> Future[Any]:
        """Ask to change the instruction."""
        return self._ask("set_instruction", SetInstruction.Request(instruction=text))

    def _ask(self, service: str, request: Any) -> Future[Any]:
        asked: Future[Any] = self._clients[service].call_async(request)
        return asked

    def _on_status(self, status: RecorderStatus) -> None:
        self.status = status
        self.heard_s = time.monotonic()
