"""``pi0 status``: a running suite on one screen."""

from __future__ import annotations

import argparse

from pi0_ros.cli.ros_names import add_namespace


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "status",
        description="Shows state, chunks, ticks, streams, limits and every node's diagnostics "
        "until Ctrl-C. With --once or --json: exit code 0 if every node is OK, 1 if one is "
        "not, 2 if nothing was received. It only listens: no node waits for it.",
    )
    add_namespace(parser)
    parser.add_argument("--once", action="store_true", help="print one frame and end")
    parser.add_argument("--json", action="store_true", help="print one line of JSON and end")
    parser.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="S",
        help="listen at most this long for one frame (default: %(default)g)",
    )
    parser.set_defaults(func=run)


def run(given: argparse.Namespace) -> int:
    """Show the suite; the exit code is in the description."""
    from pi0_ros.clients.status.client import show_status

    return show_status(
        namespace=given.namespace, once=given.once, as_json=given.json, timeout_s=given.timeout
    )
