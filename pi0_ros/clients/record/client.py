"""``pi0 record``: find or start a recorder, and control it."""

from __future__ import annotations

import os
import sys

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from pi0_ros.clients.record.console import Console
from pi0_ros.clients.record.link import RecorderLink
from pi0_ros.clients.record.process import OwnRecorder
from pi0_ros.clients.record.request import RecordingRequest
from pi0_ros.clients.record.script import Script
from pi0_ros.embodiment import load
from pi0_ros.graph.declaration import Process
from pi0_ros.recording.errors import RecordingError
from pi0_ros.system.stop_signals import StopSignals

_DISCOVERY_S = 1.5
_START_S = 30.0


def record(process: Process, request: RecordingRequest) -> int:
    """Return 0, or 1 if an episode could not be recorded whole.

    Uses the recorder that runs, or starts ``process``. Raises :class:`RecordingError` or
    :class:`~pi0_ros.graph.options.GraphError` if no recorder can be used.
    """
    request.check()
    os.environ.update(process.environment)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("record", enable_rosout=False, start_parameter_services=False)
    executor = EventsExecutor()
    executor.add_node(node)
    try:
        # A stop signal raises KeyboardInterrupt, so that the recorder started here is stopped too.
        with StopSignals() as signals:
            return _record(request, process, node, executor, signals)
    except KeyboardInterrupt:
        return 0
    finally:
        executor.remove_node(node)
        node.destroy_node()
        rclpy.try_shutdown()


def _record(
    request: RecordingRequest,
    process: Process,
    node: Node,
    executor: EventsExecutor,
    signals: StopSignals,
) -> int:
    with OwnRecorder(process, signals) as own:

        def check() -> None:
            signals.check()
            own.poll()

        link = RecorderLink(node, executor, _node_name(process), check)
        if not link.await_(lambda: link.connected, _DISCOVERY_S):
            own.start()
            link.await_(lambda: link.connected or own.ended, _START_S)
        if not link.connected:
            raise RecordingError("\n".join([*own.lines(), "no recorder answers"]))
        found = link.status.embodiment if link.status else ""
        wanted = load(str(process.parameters["embodiment"])).name
        if found != wanted:
            raise RecordingError(
                f"the running recorder is of {found}, not of {wanted}; end it, or give the"
                " --namespace of another robot"
            )
        if request.episodes:
            return Script(link, request, sys.stdout).run()
        return Console(link, own, request.task, request.notes).run()


def _node_name(process: Process) -> str:
    return f"{process.namespace.rstrip('/')}/{process.name}"
