"""``pi0 checkpoint load``: have a running policy switch to another checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from pi0_ros.cli.program import become, ros_name

_CLIENT = "pi0_ros.clients.load_checkpoint"


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
        "--node",
        type=ros_name,
        default="policy",
        metavar="NAME",
        help="policy node (default: %(default)s)",
    )
    load.add_argument(
        "--namespace",
        type=ros_name,
        default="/",
        metavar="NS",
        help="its namespace (default: %(default)s)",
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
    words = [str(args.directory.absolute()), "--node", args.node, "--namespace", args.namespace]
    become(_CLIENT, [*words, "--timeout", str(args.timeout)])
