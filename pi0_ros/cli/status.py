"""``pi0 status``: a running suite on one screen."""

from __future__ import annotations

import argparse

from pi0_ros.cli.program import become, ros_name

_CLIENT = "pi0_ros.clients.status.client"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "status",
        help="show what a running suite does, on one live screen",
        description="Shows state, chunks, ticks, streams, limits and every node's diagnostics "
        "until Ctrl-C. With --once or --json: exit code 0 if all is well, 1 if something is "
        "not, 2 if nothing was heard. Only listens; nothing on the robot waits for it.",
    )
    parser.add_argument(
        "--namespace",
        type=ros_name,
        default="/",
        metavar="NS",
        help="of the suite (default: %(default)s)",
    )
    parser.add_argument("--once", action="store_true", help="print one frame and end")
    parser.add_argument("--json", action="store_true", help="print one line of JSON and end")
    parser.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="S",
        help="listen at most this long for one frame (default: %(default)g)",
    )
    parser.set_defaults(func=_status)


def _status(args: argparse.Namespace) -> int:
    words = ["--namespace", args.namespace, "--timeout", str(args.timeout)]
    become(_CLIENT, [*words, *(f"--{name}" for name in ("once", "json") if getattr(args, name))])
