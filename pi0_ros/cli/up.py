"""``pi0 up``: start robot and suite where ``ros2 launch`` is not installed."""

from __future__ import annotations

import argparse
import sys

from pi0_ros.cli.launch_arguments import add_launch_argument
from pi0_ros.graph.arguments import ARGUMENTS, parse_options


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb, with the launch arguments as options."""
    parser = verbs.add_parser(
        "up",
        description="Starts every process of the suite and runs until Ctrl-C, which stops them "
        "in order; the arm holds its pose. If a process dies, the others are stopped.",
    )
    for argument in ARGUMENTS:
        add_launch_argument(parser, argument)
    parser.set_defaults(func=run)


def run(given: argparse.Namespace) -> int:
    """Start the graph and wait; exit code 1 if a process died."""
    from pi0_ros.graph.declaration import declare
    from pi0_ros.graph.supervisor import Supervisor
    from pi0_ros.system.terminal import TerminalSink

    values = {a.name: getattr(given, a.name) for a in ARGUMENTS}
    processes = declare(parse_options({k: v for k, v in values.items() if v is not None}))
    return Supervisor(processes, TerminalSink(sys.stdout)).run()
