"""``pi0 record``: record demonstrations, from the keyboard or by a script."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys

from pi0_ros.graph.arguments import RECORDER_ARGUMENTS, Argument

_CLIENT = "pi0_ros.nodes.record_client"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb; the options of the recorder are its launch arguments."""
    parser = verbs.add_parser(
        "record",
        help="record demonstrations, one rosbag2 bag per episode",
        description="Uses the recorder that runs, or starts one, and shows every stream. Keys: "
        "space starts and stops, s and f stop as success and failure, d discards, r records "
        "again, i changes the instruction, q quits. With --episodes it needs no keyboard. "
        "Exit code 1 if an episode could not be recorded whole.",
    )
    for argument in RECORDER_ARGUMENTS:
        _add(parser, argument)
    parser.add_argument("--task", required=True, help="what the robot is to do")
    parser.add_argument("--notes", default="", help="kept with every episode")
    parser.add_argument(
        "--episodes", type=int, default=0, metavar="N", help="record N episodes by itself and end"
    )
    parser.add_argument(
        "--duration", type=float, default=10.0, metavar="S", help="of each such episode [s]"
    )
    parser.add_argument(
        "--outcome",
        choices=("unmarked", "succeeded", "failed"),
        default="unmarked",
        help="mark of each such episode (default: %(default)s)",
    )
    parser.set_defaults(func=run)


def run(given: argparse.Namespace) -> int:
    """Hand over to the client, which knows ROS; its exit code."""
    words = [f"--{_option(a)}={getattr(given, a.name)}" for a in RECORDER_ARGUMENTS]
    for name in ("task", "notes", "episodes", "duration", "outcome"):
        words.append(f"--{name}={getattr(given, name)}")
    # Ctrl-C is the client's: it ends its recorder in order, and this waits for it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        client = subprocess.Popen([sys.executable, "-m", _CLIENT, *words])
        return client.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    if argument.name == "embodiment":
        parser.add_argument("embodiment", metavar="EMBODIMENT", help=argument.description)
        return
    default = f" (default: {argument.default})" if argument.default else ""
    parser.add_argument(
        f"--{_option(argument)}",
        default=argument.default,
        choices=argument.choices or None,
        metavar=None if argument.choices else argument.name.upper(),
        help=argument.description + default,
    )


def _option(argument: Argument) -> str:
    return argument.name.replace("_", "-")
