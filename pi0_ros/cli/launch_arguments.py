"""Launch arguments as options of a verb."""

from __future__ import annotations

import argparse

from pi0_ros.graph.arguments import Argument


def option(argument: Argument) -> str:
    """The option of an argument: ``--num-steps`` for ``num_steps``."""
    return f"--{argument.name.replace('_', '-')}"


def add_launch_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    """Add the option; the embodiment is a positional argument."""
    if argument.name == "embodiment":
        parser.add_argument("embodiment", metavar="EMBODIMENT", help=argument.description)
        return
    default = f" (default: {argument.default})" if argument.default else ""
    parser.add_argument(
        option(argument),
        default=argument.default,
        choices=argument.choices or None,
        metavar=None if argument.choices else argument.name.upper(),
        required=argument.default is None,
        help=argument.description + default,
    )
