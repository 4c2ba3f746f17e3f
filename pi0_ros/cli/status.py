"""``pi0 status``: a running suite on one screen."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys

_CLIENT = "pi0_ros.nodes.status.client"


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
        "--namespace", default="/", metavar="NS", help="of the suite (default: %(default)s)"
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
    # A process of its own: this room does without ROS.
    command = [sys.executable, "-m", _CLIENT, "--namespace", args.namespace]
    command += ["--timeout", str(args.timeout)]
    command += [f"--{name}" for name in ("once", "json") if getattr(args, name)]
    child = subprocess.Popen(command)
    while True:
        # Ctrl-C reaches the child too, which leaves the terminal as it found it.
        with contextlib.suppress(KeyboardInterrupt):
            return child.wait()
