"""Options that name a node or a namespace of ROS."""

from __future__ import annotations

import argparse
import re

_NAME = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?", re.ASCII)


def ros_name(text: str) -> str:
    """For argparse: the name of a node or a namespace. Raises ArgumentTypeError."""
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no ROS name; give letters, digits and underscores between slashes, "
            "such as robot_1/left"
        )
    return text


def add_namespace(parser: argparse.ArgumentParser) -> None:
    """Add ``--namespace`` of the running suite."""
    parser.add_argument(
        "--namespace",
        type=ros_name,
        default="/",
        metavar="NS",
        help="of the running suite (default: %(default)s)",
    )


def add_node(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--node`` and ``--namespace`` of a running node."""
    parser.add_argument(
        "--node",
        type=ros_name,
        default=default,
        metavar="NAME",
        help="name of the running node (default: %(default)s)",
    )
    add_namespace(parser)
