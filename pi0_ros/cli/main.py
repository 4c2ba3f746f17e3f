"""Entry point of the ``pi0`` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pi0_ros import __version__
from pi0_ros.system.terminal import run_until_pipe_breaks

#: Each verb, a module of this package with ``add_parser``, and its summary.
VERBS = {
    "up": "start a robot (simulated, mock or real) and the policy that drives it",
    "status": "show what a running suite does, on one live screen",
    "robot": "start, stop, e-stop, reset or send home a robot that the suite drives",
    "embodiments": "list, show or check robot types",
    "checkpoint": "create, inspect, convert, verify or load checkpoints",
    "record": "record demonstrations, one rosbag2 bag per episode",
    "bag": "show, check or repair recorded episodes",
    "replay": "play a recorded episode to a robot, within its limits",
    "dataset": "make, edit, check or show datasets (LeRobot v3.0)",
    "serve": "serve a checkpoint to robots on the network, as openpi does",
}


class _Parser(argparse.ArgumentParser):
    """Accepts options by their full names only: ``--out`` is not taken for ``--outcome``.

    The parsers of the verbs have the same class.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """Make the parser, in which only the named verb has its arguments.

    The other verbs are not imported, so that the command starts fast. A verb stores its function in
    ``func``.
    """
    parser = _Parser(prog="pi0", description="π0 vision-language-action policies on ROS 2.")
    parser.add_argument("--version", action="version", version=f"pi0 {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        if name == verb:
            import_module(f"pi0_ros.cli.{name}").add_parser(verbs)
        else:
            verbs.add_parser(name, help=summary)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Return its exit code, 2 for a refused input, or 130 if interrupted.

    Returns 141, as shell tools do, if the pipe of the output is closed.
    """
    return run_until_pipe_breaks(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(words: Sequence[str]) -> int:
    verb = next((word for word in words if not word.startswith("-")), None)
    given = build_parser(verb).parse_args(words)
    try:
        code: int = given.func(given)
    except ValueError as error:
        if not isinstance(error, _refusals()):
            raise
        return _refuse(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("pi0: interrupted\n")
        return 130
    except OSError as error:
        if error.filename is None:  # the user named no file
            raise
        return _refuse(f"{os.fsdecode(error.filename)}: {error.strerror}")
    return code


def _refuse(text: str) -> int:
    for line in text.splitlines():
        sys.stderr.write(f"pi0: {line}\n")
    return 2


def _refusals() -> tuple[type[ValueError], ...]:
    """Errors that tell the user what to change. Any other error is a bug and keeps its trace."""
    from pi0_ros.checkpoint.errors import CheckpointError
    from pi0_ros.embodiment.errors import EmbodimentError
    from pi0_ros.graph.options import GraphError
    from pi0_ros.recording.errors import RecordingError

    return CheckpointError, EmbodimentError, GraphError, RecordingError


if __name__ == "__main__":
    sys.exit(main())
