"""``pi0 up``: start robot and suite where ``ros2 launch`` is not installed."""

from __future__ import annotations

import argparse
import sys

from pi0_ros.graph.arguments import ARGUMENTS, Argument


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb; its options are the launch arguments."""
    parser = verbs.add_parser(
        "up",
        help="start a robot (simulated, mock or real) and the policy that drives it",
        description="Starts every process of the suite and runs until Ctrl-C, which stops them "
        "in order with the arm left holding. A process that dies takes the others down.",
    )
    for argument in ARGUMENTS:
        _add(parser, argument)
    parser.set_defaults(func=run)


def run(given: argparse.Namespace) -> int:
    """Start the graph and wait; exit code 1 if a process died."""
    from pi0_ros.graph.declaration import declare
    from pi0_ros.graph.options import parse_options
    from pi0_ros.graph.supervisor import Supervisor
    from pi0_ros.graph.terminal import TerminalSink

    values = {a.name: getattr(given, a.name) for a in ARGUMENTS}
    processes = declare(parse_options({k: v for k, v in values.items() if v is not None}))
    return Supervisor(processes, TerminalSink(sys.stdout)).run()


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    if argument.name == "embodiment":
        parser.add_argument("embodiment", metavar="EMBODIMENT", help=argument.description)
        return
    default = f" (default: {argument.default})" if argument.default else ""
    parser.add_argument(
        f"--{argument.name.replace('_', '-')}",
        default=argument.default,
        choices=argument.choices or None,
        metavar=None if argument.choices else argument.name.upper(),
        required=argument.default is None,
        help=argument.description + default,
    )
