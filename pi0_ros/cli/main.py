"""Entry point of the ``pi0`` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pi0_ros import __version__
from pi0_ros.system.terminal import while_read

#: Verb (a module of this room with ``add_parser``) and what it does.
VERBS = {
    "up": "start a robot (simulated, mock or real) and the policy that drives it",
    "status": "show what a running suite does, on one live screen",
    "robot": "start, stop, e-stop, reset or send home a robot that the suite drives",
    "embodiments": "list, show or check robot types",
    "checkpoint": "make, show or check checkpoints",
    "record": "record demonstrations, one rosbag2 bag per episode",
    "bag": "look at recorded episodes, judge them, repair them",
    "replay": "play a recorded episode to a robot, within its limits",
    "dataset": "make datasets of bags, edit and check them, look at them",
    "serve": "serve a checkpoint to robots on the network, as openpi does",
}


class _Parser(argparse.ArgumentParser):
    """Takes options by their whole names: ``--out`` is not short for ``--outcome``.

    Parsers of verbs are made of the same class.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """Make the parser; only the named verb gets its arguments.

    A verb leaves its function in ``func``. The others are not imported, so that
    the command answers at once.
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
    """Run one verb; return its exit code, 2 for a refused input, 130 if interrupted.

    141, as of a shell's own tools, if nobody reads the output any more.
    """
    return while_read(lambda: _run(sys.argv[1:] if arguments is None else arguments))


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
        if error.filename is None:  # no file that the user could have named
            raise
        return _refuse(f"{os.fsdecode(error.filename)}: {error.strerror}")
    return code


def _refuse(text: str) -> int:
    for line in text.splitlines():
        sys.stderr.write(f"pi0: {line}\n")
    return 2


def _refusals() -> tuple[type[ValueError], ...]:
    """Errors that tell the user what to change; any other is ours and keeps its trace."""
    from pi0_ros.checkpoint.errors import CheckpointError
    from pi0_ros.embodiment.errors import EmbodimentError
    from pi0_ros.graph.options import GraphError
    from pi0_ros.recording.errors import RecordingError

    return CheckpointError, EmbodimentError, GraphError, RecordingError


if __name__ == "__main__":
    sys.exit(main())
