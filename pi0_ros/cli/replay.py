"""``pi0 replay``: play a recorded episode to the robot, through its executor."""

from __future__ import annotations

import argparse

from pi0_ros.cli.ros_names import add_namespace


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "replay",
        description="Sends the actions of one episode as chunks to a running chunk_executor, which"
        " limits them like those of a policy. The robot first moves slowly to the first recorded"
        " pose. Ctrl-C and a stop of the executor end the replay; the robot then holds.",
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="a bag, a dataset, or DATASET:EPISODE counted from 0"
    )
    parser.add_argument(
        "embodiment",
        nargs="?",
        default="",
        metavar="EMBODIMENT",
        help="the robot (default: that of the recording); another robot is refused",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="RATIO",
        help="ratio to the recorded speed, above 0 and at most 1 (default: %(default)g)",
    )
    add_namespace(parser)
    parser.add_argument(
        "--use-sim-time",
        choices=("auto", "true", "false"),
        default="auto",
        help="whether to follow /clock; auto: if the executor does (default: auto)",
    )
    parser.set_defaults(func=run)


def run(given: argparse.Namespace) -> int:
    """Play the episode; exit code 1 if the robot stopped following it."""
    from pi0_ros.clients.replay.client import replay_episode

    return replay_episode(
        given.source,
        embodiment=given.embodiment,
        speed=given.speed,
        namespace=given.namespace,
        use_sim_time=given.use_sim_time,
    )
