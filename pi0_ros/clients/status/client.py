"""The ROS client of ``pi0 status``: subscribes to the topics of a running suite."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.parameter_client import AsyncParameterClient
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.live import Live

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.clients.status.model import Level, Report, Snapshot
from pi0_ros.clients.status.screen import draw
from pi0_ros.clients.status.suite_monitor import SuiteMonitor
from pi0_ros.embodiment import Embodiment, EmbodimentError, load
from pi0_ros.nodes.executor_status import ExecutorView
from pi0_ros.nodes.managed import LATCHED_QOS
from pi0_ros.system.stop_signals import StopSignals

_FRAMES_HZ = 4.0
#: ``--once`` listens for this long after every node has reported, to measure the tick rate.
_SETTLE_S = 0.5
_OK, _NOT_OK, _NOTHING_HEARD = 0, 1, 2


class Listener:
    """Passes one suite's messages to a :class:`SuiteMonitor` and loads its robot's limits.

    The executor publishes its status in every tick. It is received as bytes, and only the newest
    message is deserialised when a frame is drawn. ``check`` is called between callbacks and may
    raise.
    """

    def __init__(
        self, domain_id: int, namespace: str, check: Callable[[], None] = lambda: None
    ) -> None:
        namespace = "/" + namespace.strip("/")
        self.monitor = SuiteMonitor(domain_id, namespace)
        self.node = Node(
            "pi0_status",
            namespace=namespace,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._newest: tuple[bytes, float] | None = None
        self._robot: Embodiment | None = None
        self._asked: Any = None
        executor = f"{namespace.rstrip('/')}/chunk_executor"
        self._parameters = AsyncParameterClient(self.node, executor)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)
        self.node.create_subscription(
            ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS, raw=True
        )
        self._check = check
        self._executor = EventsExecutor()
        self._executor.add_node(self.node)

    def listen(self, duration_s: float) -> None:
        """Receive messages for ``duration_s``."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)
            self._check()
        self._take_status()
        self._load_robot()
        names = self.node.get_node_names_and_namespaces()
        self.monitor.present([f"{space.rstrip('/')}/{name}" for name, space in names])

    def snapshot(self) -> Snapshot:
        """The state of the suite according to the messages received so far."""
        return self.monitor.snapshot(time.monotonic(), self._robot)

    def complete(self) -> bool:
        """Whether every part of a snapshot is known."""
        asked = self._asked is not None and self._asked.done()
        return self.monitor.complete() and asked

    def close(self) -> None:
        """Leave the graph."""
        self._executor.remove_node(self.node)
        self.node.destroy_node()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now_s = time.monotonic()
        for status in message.status:
            level = Level(min(status.level[0], Level.SILENT))
            values = {pair.key: pair.value for pair in status.values}
            self.monitor.report(
                Report(name=status.name, level=level, message=status.message, values=values),
                now_s,
            )

    def _on_status(self, data: bytes) -> None:
        self._newest = data, time.monotonic()

    def _take_status(self) -> None:
        if self._newest is None:
            return
        data, heard_s = self._newest
        self._newest = None
        message = deserialize_message(data, ExecutorStatus)
        self.monitor.control(ExecutorView.from_message(message), heard_s)

    def _load_robot(self) -> None:
        """Load the embodiment that the executor's parameter names: a file or a built-in name."""
        name = self.monitor.embodiment
        if self._robot is not None or name is None:
            return
        if self._asked is None and self._parameters.services_are_ready():
            self._asked = self._parameters.get_parameters(["embodiment"])
        if self._asked is None or not self._asked.done():
            return
        given = self._asked.result().values[0].string_value
        for source in (given, name):
            try:
                robot = load(source)
            except EmbodimentError:  # the file is not on this machine: show no limits
                continue
            if robot.name == name:
                self._robot = robot
                return


def show_status(*, namespace: str, once: bool, as_json: bool, timeout_s: float) -> int:
    """Return 0 if all is well (or the screen was left), 1 if not, 2 if nothing was heard."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    with StopSignals() as signals:
        domain_id = int(os.environ.get("ROS_DOMAIN_ID") or 0)
        listener = Listener(domain_id, namespace, signals.check)
        try:
            if once or as_json:
                return _once(listener, timeout_s, as_json=as_json)
            return _live(listener)
        except KeyboardInterrupt:
            return _OK
        finally:
            listener.close()
            rclpy.try_shutdown()


def _once(listener: Listener, timeout_s: float, *, as_json: bool) -> int:
    """Print one frame as soon as every node has reported, at the latest after the timeout."""
    end_s = time.monotonic() + timeout_s
    while not listener.complete() and time.monotonic() < end_s:
        listener.listen(0.25)
    listener.listen(_SETTLE_S)
    snapshot = listener.snapshot()
    # A pipe has no width: use the width that the screen is laid out for.
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100)
    if as_json:
        sys.stdout.write(snapshot.to_json() + "\n")
    else:
        console.print(draw(snapshot, console.width))
    if not snapshot.heard:
        return _NOTHING_HEARD
    return _OK if snapshot.level is Level.OK else _NOT_OK


def _live(listener: Listener) -> int:
    """Draw until Ctrl-C."""
    console = Console()
    if not console.is_terminal:
        sys.stderr.write("pi0: standard output is no terminal; add --once or --json\n")
        return _NOT_OK
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            listener.listen(1.0 / _FRAMES_HZ)
            width, height = console.size
            live.update(draw(listener.snapshot(), width, height), refresh=True)
