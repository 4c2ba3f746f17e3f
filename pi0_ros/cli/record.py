"""``pi0 record``: record demonstrations, from the keyboard or by a script."""

from __future__ import annotations

import argparse

from pi0_ros.cli.launch_arguments import add_launch_argument, option
from pi0_ros.cli.program import become
from pi0_ros.graph.arguments import RECORDER_ARGUMENTS

_CLIENT = "pi0_ros.clients.record.client"


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
        add_launch_argument(parser, argument)
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
    """Hand over to the client, which knows ROS."""
    words = [f"{option(a)}={getattr(given, a.name)}" for a in RECORDER_ARGUMENTS]
    for name in ("task", "notes", "episodes", "duration", "outcome"):
        words.append(f"--{name}={getattr(given, name)}")
    become(_CLIENT, words)
