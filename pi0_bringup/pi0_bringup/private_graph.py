"""A process graph that a program starts for itself: in a ROS domain of its own, with a log file."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pi0_ros.graph.declaration import Process
from pi0_ros.graph.options import GraphError
from pi0_ros.graph.supervisor import Supervisor

if TYPE_CHECKING:
    from rclpy.node import Node

# Domains whose ports lie below the ephemeral range, without 0, the default of every ROS program.
_DOMAINS = range(10, 102)
_TAIL_LINES = 15
_SLICE_S = 0.05

_Node = TypeVar("_Node", bound="Node")


class GraphRunError(RuntimeError):
    """Why the graph did not do what it was started for; ends with the last lines of its log."""


class PrivateGraph:
    """A running graph, and the nodes of this process that talk to it.

    ``meanwhile`` is called again and again while :meth:`wait` waits.
    """

    def __init__(self, supervisor: Supervisor, log: Log, executor: Any) -> None:
        self.executor = executor
        self.meanwhile: Callable[[], None] = lambda: None
        self._supervisor = supervisor
        self._log = log
        self._nodes: list[Node] = []

    @property
    def stop_requested(self) -> bool:
        """Whether SIGINT, SIGTERM or SIGHUP has arrived."""
        return self._supervisor.stop_requested

    def add(self, node: _Node) -> _Node:
        """Spin this node while waiting, and destroy it in the end."""
        self.executor.add_node(node)
        self._nodes.append(node)
        return node

    def wait(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Spin until the condition holds; whether it did in time.

        Raises :class:`GraphRunError` if a process has died and KeyboardInterrupt if a stop
        was requested.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if self._supervisor.failure is not None:
                raise self.error(self._supervisor.failure)
            if self.stop_requested:
                raise KeyboardInterrupt
            if time.monotonic() > deadline_s:
                return False
            slice_end_s = time.monotonic() + _SLICE_S
            while not condition() and (left_s := slice_end_s - time.monotonic()) > 0.0:
                self.executor.spin_once(timeout_sec=left_s)
            self._supervisor.step(0.0)
            self.meanwhile()
        return True

    def error(self, reason: str) -> GraphRunError:
        """The exception to raise for this reason."""
        return GraphRunError(f"{reason}\n{self._log.tail()}")

    def destroy_nodes(self) -> None:
        """Destroy the nodes that were added."""
        while self._nodes:
            node = self._nodes.pop()
            self.executor.remove_node(node)
            node.destroy_node()


@contextmanager
def private_graph(processes: Sequence[Process], folder: Path) -> Iterator[PrivateGraph]:
    """Start the processes; on leaving, stop every one. Their output goes to ``folder/log.txt``.

    The environment of this process changes to that of the domain. Raises
    :class:`~pi0_ros.graph.options.GraphError` if every domain is taken or a program is not
    installed, and :class:`GraphRunError` if a process does not end as it should.
    """
    with private_domain() as environment, Log(folder / "log.txt") as log:
        # The nodes of this process use the transport profile of those that they talk to.
        os.environ.update(environment | dict(processes[0].environment))
        with Supervisor(processes, log) as supervisor:
            supervisor.start()
            # Imported while the processes start.
            import rclpy
            from rclpy.experimental import EventsExecutor
            from rclpy.signals import SignalHandlerOptions

            rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
            graph = PrivateGraph(supervisor, log, EventsExecutor())
            try:
                yield graph
            finally:
                graph.destroy_nodes()
                rclpy.try_shutdown()
        if supervisor.unclean:
            raise graph.error("; ".join(supervisor.unclean))


@contextmanager
def private_domain() -> Iterator[dict[str, str]]:
    """The environment of a domain that no other caller on this machine is given.

    The domain is claimed by an abstract socket of its name, which the tests use too. The
    kernel frees it however the process ends. Discovery stays on this machine.

    Raises :class:`~pi0_ros.graph.options.GraphError` if every domain is taken.
    """
    for domain in _DOMAINS:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0pi0_ros_test_domain_{domain}")
        except OSError:
            claim.close()
            continue
        with claim:
            yield {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        return
    raise GraphError(f"no free ROS domain in {_DOMAINS}: end other demonstrations first")


def make_folder(path: Path) -> None:
    """Make the folder that a program writes to. Raises :class:`GraphError` if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GraphError(f"{path} cannot be written to: {error.strerror}") from error


class Log(AbstractContextManager["Log"]):
    """Writes the lines of output that a supervisor passes on to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8")
        self._last: deque[str] = deque(maxlen=_TAIL_LINES)

    def __call__(self, name: str, text: str) -> None:
        """Write one line."""
        line = f"[{name}] {text}"
        self._last.append(line)
        self._file.write(line + "\n")
        self._file.flush()

    def tail(self) -> str:
        """The last lines, and the path of the file."""
        lines = "\n".join(f"  {line}" for line in self._last)
        return f"{lines}\nThe whole log: {self._path}"

    def __exit__(self, *_: object) -> None:
        self._file.close()
