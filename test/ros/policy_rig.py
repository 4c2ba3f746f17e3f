"""A policy node; the test acts as camera_sync and executor."""

from __future__ import annotations

import array
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Graph
from std_msgs.msg import String

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_msgs.msg import Observation as ObservationMessage
from pi0_ros.embodiment import CAMERA_SLOTS, Embodiment, load
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS
from pi0_ros.nodes.observations import time_message
from pi0_ros.nodes.policy.node import PolicyNode
from pi0_ros.policy.policy import Policy
from pi0_ros.policy.types import Chunk, Observation, RemainingActions

UR5E = load("ur5e")
SIZE = 14


class ScriptedPolicy:
    """A backend that answers as the test says, and stores the observations it got."""

    trained = True

    def __init__(
        self,
        checkpoint_id: str = "scripted@0",
        image_size: int = SIZE,
        *,
        can_continue: bool = False,
    ) -> None:
        self.can_continue = can_continue
        self.remaining_seen: list[RemainingActions | None] = []
        self.checkpoint_id = checkpoint_id
        self.image_size = image_size
        self.seen: list[Observation] = []
        self.answer: Callable[[], None] = lambda: None

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        self.seen.append(observation)
        self.remaining_seen.append(remaining)
        self.answer()
        actions = np.arange(50 * 7, dtype=np.float32).reshape(50, 7)
        return Chunk(actions=actions, stage_ms=(1.0, 3.0), stage_names=("denoise", "total"))


class Blocked:
    """A call that waits until ``go_on`` is set, and returns ``result``."""

    def __init__(self, result: Any = None) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._result = result

    def __call__(self) -> Any:
        self.begun.set()
        self.go_on.wait(30.0)
        return self._result


class PolicyRig:
    """A policy node; the test acts as camera_sync and executor.

    Without the parameter ``checkpoint`` the node uses ``backend``, and ``loads`` holds the
    checkpoints that it can load, by path. With it, the node loads a real checkpoint for views of
    ``size`` pixels.
    """

    def __init__(
        self, ros: Graph, size: int = SIZE, *, can_continue: bool = False, **parameters: Any
    ) -> None:
        self.ros = ros
        self.backend = backend = ScriptedPolicy(can_continue=can_continue)
        self.loads: dict[str, Callable[[], Policy]] = {}
        self._size = size
        loads = self.loads

        class Node(PolicyNode):
            def load_policy(self, embodiment: Embodiment, checkpoint: str) -> Policy:
                return loads[checkpoint]() if checkpoint else backend

        self.chunks = ros.collect(ActionChunk, "action_chunk", COMMAND_QOS)
        self._observation = ros.publisher(ObservationMessage, "observation", COMMAND_QOS)
        self._status = ros.publisher(ExecutorStatus, "executor_status", LATCHED_QOS)
        self._prompt = ros.publisher(String, "prompt", LATCHED_QOS)
        parameters = {"embodiment": "ur5e", "prompt": "fold the towel"} | parameters
        self.node = ros.add(PolicyNode if "checkpoint" in parameters else Node, parameters)
        assert self.node.failure is None

    def now_ns(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    def observe(self, **changes: Any) -> Any:
        message = ObservationMessage(
            embodiment="ur5e",
            slots=list(CAMERA_SLOTS),
            slot_mask=list(UR5E.slot_mask),
            height=self._size,
            width=self._size,
            pixels=array.array("B", bytes(2 * self._size**2 * 3)),
            state_names=list(UR5E.state_names),
            state=[0.1 * i for i in range(7)],
        )
        message.header.stamp = time_message(self.now_ns())
        for field, value in changes.items():
            setattr(message, field, value)
        self._observation.publish(message)
        return message

    def report(
        self,
        steps: int,
        sequence: int = 0,
        state: int = ExecutorStatus.EXECUTING,
        source_id: str | None = None,
    ) -> None:
        message = ExecutorStatus(state=state, chunk_sequence=sequence, steps_consumed=steps)
        message.chunk_step = max(steps - 1, 0)
        ours = self.chunks[-1].source_id if self.chunks else ""
        message.source_id = ours if source_id is None else source_id
        message.checkpoint_id = self.chunks[-1].checkpoint_id if self.chunks else ""
        message.header.stamp = time_message(self.now_ns())
        self._status.publish(message)

    def say(self, prompt: str) -> None:
        self._prompt.publish(String(data=prompt))

    def observe_until(self, condition: Callable[[], object], what: str, **changes: Any) -> None:
        def once() -> bool:
            self.observe(**changes)
            self.ros.spin_some()
            return bool(condition())

        self.ros.spin_until(once, what=what)

    def first_chunk(self) -> Any:
        self.observe_until(lambda: self.chunks, "a chunk")
        return self.chunks[0]

    def next_chunk(self) -> Any:
        """Report the newest chunk as executed, and return the next one."""
        if not self.chunks:
            return self.first_chunk()
        count = len(self.chunks)
        self.report(UR5E.rates.execution_steps, sequence=self.chunks[-1].sequence)
        self.observe_until(lambda: len(self.chunks) > count, "the next chunk")
        return self.chunks[count]
