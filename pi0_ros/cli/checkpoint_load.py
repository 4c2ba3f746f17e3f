"""``pi0 checkpoint load``: make a running policy switch to another checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from pi0_ros.cli.ros_names import add_node


def add_load_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``load`` to the verbs of ``pi0 checkpoint``."""
    load = verbs.add_parser(
        "load",
        help="make a running policy switch to a checkpoint",
        description="Loads the checkpoint beside the current one and switches between two "
        "inferences. If anything fails, the current one stays in use, the reason is printed and "
        "the exit code is 1.",
    )
    load.add_argument("directory", type=Path, metavar="DIR", help="folder of the checkpoint")
    add_node(load, "policy")
    load.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        metavar="S",
        help="wait this many seconds for the answer (default: %(default)g)",
    )
    load.set_defaults(func=_load)


def _load(given: argparse.Namespace) -> int:
    from pi0_ros.clients.load_checkpoint import load_checkpoint

    return load_checkpoint(
        str(given.directory.absolute()),  # the policy runs in another folder
        node=given.node,
        namespace=given.namespace,
        timeout_s=given.timeout,
    )
