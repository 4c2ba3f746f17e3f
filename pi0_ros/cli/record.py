"""``pi0 record``: record demonstrations, from the keyboard or by a script."""

from __future__ import annotations

import argparse

from pi0_ros.cli.launch_arguments import add_launch_argument
from pi0_ros.graph.arguments import RECORDER_ARGUMENTS, parse_options


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb, with the launch arguments of the recorder as options."""
    parser = verbs.add_parser(
        "record",
        description="Uses the running recorder, or starts one, and shows every stream. Keys: "
        "space starts and stops, s and f stop and mark success or failure, d discards, r records "
        "again, i changes the instruction, q quits. With --episodes it needs no keyboard. "
        "Exit code 1 if an episode is incomplete.",
    )
    for argument in RECORDER_ARGUMENTS:
        add_launch_argument(parser, argument)
    parser.add_argument("--task", required=True, help="what the robot is to do")
    parser.add_argument("--notes", default="", help="text that is stored with every episode")
    parser.add_argument(
        "--episodes",
        type=int,
        default=0,
        metavar="N",
        help="record N episodes, then end",
    )
    parser.add_argument(
        "--duration",
        type=float,
        default=10.0,
        metavar="S",
        help="length of each episode [s]",
    )
    parser.add_argument(
        "--outcome",
        choices=("unmarked", "succeeded", "failed"),
        default="unmarked",
        help="mark of each episode (default: %(default)s)",
    )
    parser.set_defaults(func=run)


def run(given: argparse.Namespace) -> int:
    """Record; the exit code is in the description."""
    from pi0_ros.clients.record.client import record
    from pi0_ros.clients.record.request import RecordingRequest
    from pi0_ros.graph.declaration import declare_recorder

    values = {argument.name: getattr(given, argument.name) for argument in RECORDER_ARGUMENTS}
    (recorder,) = declare_recorder(parse_options(values, RECORDER_ARGUMENTS))
    request = RecordingRequest(
        task=given.task,
        notes=given.notes,
        episodes=given.episodes,
        duration_s=given.duration,
        outcome=given.outcome,
    )
    return record(recorder, request)
