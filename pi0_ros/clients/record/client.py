"""The program behind ``pi0 record``: finds or starts a recorder, and drives it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from pi0_ros.clients.record.console import Console
from pi0_ros.clients.record.link import RecorderLink
from pi0_ros.clients.record.process import OwnRecorder
from pi0_ros.clients.record.script import Script
from pi0_ros.embodiment import EmbodimentError, load
from pi0_ros.graph.arguments import RECORDER_ARGUMENTS
from pi0_ros.graph.declaration import Process, declare_recorder
from pi0_ros.graph.options import GraphError, parse_options
from pi0_ros.system.stop_signals import StopSignals
from pi0_ros.system.terminal import while_read

_DISCOVERY_S = 1.5
_START_S = 30.0
REFUSED = 2


def main(words: Sequence[str] | None = None) -> int:
    """Return 0, 1 if an episode could not be recorded whole, 2 if there is no recorder."""
    given = _parser().parse_args(words)
    if not given.episodes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse("this is no terminal: give --episodes N and --duration S")
    if given.episodes < 0 or not given.duration > 0:
        return _refuse(
            f"episodes is {given.episodes} and duration {given.duration:g};"
            " give a whole number and seconds above 0"
        )
    try:
        names = [argument.name for argument in RECORDER_ARGUMENTS]
        options = parse_options({n: getattr(given, n) for n in names}, RECORDER_ARGUMENTS)
        (process,) = declare_recorder(options)
    except (GraphError, EmbodimentError) as error:
        return _refuse(str(error))
    os.environ.update(process.environment)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("record", enable_rosout=False, start_parameter_services=False)
    executor = EventsExecutor()
    executor.add_node(node)
    try:
        # Told to end, it ends in order, and the recorder it started with it.
        with StopSignals() as signals:
            link = RecorderLink(node, executor, _node_name(process), signals.check)
            return _record(given, process, link)
    except KeyboardInterrupt:
        return 0
    finally:
        executor.remove_node(node)
        node.destroy_node()
        rclpy.try_shutdown()


def _record(given: argparse.Namespace, process: Process, link: RecorderLink) -> int:
    with OwnRecorder(process) as own:
        if not link.await_(lambda: link.connected, _DISCOVERY_S):
            try:
                own.start()
            except GraphError as error:
                return _refuse(str(error))
            link.await_(lambda: link.connected or own.ended, _START_S)
        if not link.connected:
            return _refuse("\n".join([*own.lines(), "no recorder answers"]))
        found = link.status.embodiment if link.status else ""
        wanted = load(str(process.parameters["embodiment"])).name
        if found != wanted:
            return _refuse(
                f"the recorder that runs is of {found}, not of {wanted}; end it, or give the"
                " --namespace of another robot"
            )
        if given.episodes:
            return Script(link, given, sys.stdout).run()
        return Console(link, own, given.task, given.notes).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="record_client", description=__doc__)
    for argument in RECORDER_ARGUMENTS:
        parser.add_argument(
            f"--{argument.name.replace('_', '-')}",
            default=argument.default,
            required=argument.default is None,
        )
    parser.add_argument("--task", required=True)
    parser.add_argument("--notes", default="")
    parser.add_argument("--episodes", type=int, default=0)
    parser.add_argument("--duration", type=float, default=10.0)
    parser.add_argument("--outcome", default="unmarked")
    return parser


def _node_name(process: Process) -> str:
    return f"{process.namespace.rstrip('/')}/{process.name}"


def _refuse(text: str) -> int:
    for line in text.splitlines():
        sys.stderr.write(f"pi0: {line}\n")
    return REFUSED


if __name__ == "__main__":
    sys.exit(while_read(main))
