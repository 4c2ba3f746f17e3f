"""``collect_demonstrations``: record the scripted expert in the simulation, through ROS.

Starts simulation, executor, recorder and expert in a ROS domain of its own. For every episode it
resets the scene with a seed, records one demonstration and marks it by the scene's reward. ``pi0
dataset convert`` makes a dataset of the folder of bags.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pi0_bringup.collecting.graph import CollectOptions
from pi0_bringup.collecting.progress import Progress, summary_lines
from pi0_bringup.collecting.session import collect
from pi0_bringup.private_graph import GraphRunError
from pi0_ros.graph.options import GraphError

_OUT = Path("out") / "demonstrations"
_ENDED, _REFUSED, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 if every episode was kept, 1 if not, 2 for a refused input, 130 if stopped."""
    given = _parser().parse_args(arguments)
    talk = sys.stderr if given.json else sys.stdout
    begin_s = time.monotonic()
    try:
        options = CollectOptions(
            episodes=given.episodes,
            out=given.out,
            instruction=given.task,
            first_seed=given.first_seed,
            width=given.width,
            real_time_factor=given.real_time_factor,
        )
        collected = collect(options, Progress(talk, given.episodes))
    except GraphError as error:
        return _complain(str(error), _REFUSED)
    except GraphRunError as error:
        return _complain(str(error), _ENDED)
    except KeyboardInterrupt:
        return _complain("interrupted; every process has been stopped", _INTERRUPTED)
    wall_s = time.monotonic() - begin_s
    talk.writelines(f"{line}\n" for line in summary_lines(collected, wall_s))
    talk.flush()
    if given.json:
        sys.stdout.write(json.dumps([asdict(d) for d in collected], indent=2) + "\n")
    if len(collected) < given.episodes:
        return _complain(
            f"stopped after {len(collected)} of {given.episodes} episodes", _INTERRUPTED
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="collect_demonstrations",
        description=(__doc__ or "").split("\n\n")[1],
        allow_abbrev=False,
    )
    parser.add_argument("--episodes", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=_OUT, metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--task", default="", help="instruction to record (default: that of the scene)"
    )
    parser.add_argument(
        "--first-seed", type=int, default=0, help="of cube and expert (default: %(default)s)"
    )
    parser.add_argument(
        "--width", type=int, default=224, help="of every frame [pixels] (default: %(default)s)"
    )
    parser.add_argument(
        "--real-time-factor",
        type=float,
        default=1.0,
        help="pace of the simulation; 0 as fast as possible (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print the episodes as JSON")
    return parser


def _complain(text: str, code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"collect_demonstrations: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
