"""``pi0 checkpoint load``: have a running policy switch to another checkpoint."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

_CLIENT = "pi0_ros.nodes.load_checkpoint"


def add_load_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds ``load`` to the verbs of ``pi0 checkpoint``."""
    load = verbs.add_parser(
        "load",
        help="have a running policy switch to a checkpoint",
        description="Loads the checkpoint beside the one that serves and switches between two "
        "inferences. Whatever fails, the one that serves goes on and the reason is printed "
        "(exit code 1).",
    )
    load.add_argument("directory", type=Path, metavar="DIR", help="folder of the checkpoint")
    load.add_argument(
        "--node", default="policy", metavar="NAME", help="policy node (default: %(default)s)"
    )
    load.add_argument(
        "--namespace", default="/", metavar="NS", help="its namespace (default: %(default)s)"
    )
    load.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        metavar="S",
        help="wait this many seconds for the answer (default: %(default)g)",
    )
    load.set_defaults(func=_load)


def _load(args: argparse.Namespace) -> int:
    # A process of its own: this room does without ROS.
    command = [sys.executable, "-m", _CLIENT, str(args.directory.absolute())]
    command += ["--node", args.node, "--namespace", args.namespace]
    command += ["--timeout", str(args.timeout)]
    return subprocess.run(command, check=False).returncode
