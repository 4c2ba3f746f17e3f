"""``pi0 bag info|check|repair``: show recorded episodes, check them, finish unfinished bags."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pi0_ros.stamps import NS_PER_S

if TYPE_CHECKING:
    from pi0_ros.recording.episode import EpisodeInfo


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``bag`` and its own verbs."""
    parser = subparsers.add_parser(
        "bag",
        description="For episodes that `pi0 record` or the recorder node wrote.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, function, summary in (
        ("info", run_info, "show the metadata of episodes"),
        ("check", run_check, "repeat the quality checks; exit code 1 if an episode is refused"),
        ("repair", run_repair, "finish the bags of a recorder that was killed"),
    ):
        verb = verbs.add_parser(name, help=summary)
        verb.add_argument(
            "path", nargs="+", type=Path, help="folder of a bag, its .mcap, or a folder of bags"
        )
        verb.set_defaults(func=function)


def run_info(arguments: argparse.Namespace) -> int:
    """Print a page for each bag."""
    from pi0_ros.recording.read import read_episode

    return _each(arguments.path, lambda path: _say(page(path, read_episode(path))))


def run_check(arguments: argparse.Namespace) -> int:
    """Print a line for each bag and problem. Exit code 1 unless all bags are accepted."""
    from pi0_ros.recording.bag_check import check_bag

    refused = 0

    def check(path: Path) -> None:
        nonlocal refused
        info, report = check_bag(path)
        # Only the recorder knows that an episode is incomplete; reading the bag cannot show it.
        accepted = report.accepted and info.complete
        refused += not accepted
        verdict = "accepted" if accepted else "REFUSED"
        _say(f"{path}: {verdict}, {info.duration_s:.1f} s, {info.outcome.value}")
        reason = [info.reason] if info.reason else []
        for problem in dict.fromkeys([*reason, *report.problems]):
            _say(f"  - {problem}")

    code = _each(arguments.path, check)
    return code or int(refused > 0)


def run_repair(arguments: argparse.Namespace) -> int:
    """Repair the bags that are unfinished."""
    from pi0_ros.recording.repair import repair

    return _each(arguments.path, lambda path: _say(repair(path).text()))


def page(path: Path, info: EpisodeInfo) -> str:
    """The metadata of an episode as text."""
    state = "complete" if info.complete else f"incomplete: {info.reason or 'not finished'}"
    lines = [
        f"{path}",
        f"  task         {info.task}",
        f"  robot        {info.embodiment}",
        f"  recorded     {_when(info.start_ns)}, {info.duration_s:.1f} s",
        f"  outcome      {info.outcome.value}, {state}",
        f"  quality gate {'accepted' if info.accepted else 'REFUSED'}",
        *(f"    - {problem}" for problem in info.problems),
    ]
    if info.notes:
        lines.append(f"  notes        {' / '.join(info.notes.splitlines())}")
    if len(info.instructions) > 1:
        lines.append("  instructions")
        lines += [
            f"    {(step.stamp_ns - info.start_ns) / NS_PER_S:7.1f} s  {step.text}"
            for step in info.instructions
        ]
    width = max((len(topic.name) for topic in info.topics), default=0)
    lines.append(f"  {'topic':<{width}}  messages      Hz   lost  missed")
    for topic in info.topics:
        rate = topic.written / info.duration_s if info.duration_s else 0.0
        lines.append(
            f"  {topic.name:<{width}}  {topic.written:8d}  {rate:6.1f}  {topic.lost:5d}"
            f"  {topic.missed:6d}"
        )
    lines.append("  software     " + ", ".join(f"{k} {v}" for k, v in info.software.items()))
    return "\n".join(lines)


def _when(stamp_ns: int) -> str:
    """The date and time, or the simulated time, which is far below any real date."""
    if stamp_ns < 10**18:
        return f"{stamp_ns / NS_PER_S:.1f} s into a simulation"
    return f"{datetime.fromtimestamp(stamp_ns / NS_PER_S).astimezone():%Y-%m-%d %H:%M:%S}"


def _each(paths: Sequence[Path], verb: Callable[[Path], None]) -> int:
    """Call ``verb`` for every bag. Exit code 1 if a bag could not be read; the error is printed."""
    from pi0_ros.recording.errors import RecordingError

    failed = False
    for path in bags_below(paths):
        try:
            verb(path)
        except (RecordingError, OSError) as error:
            failed = True
            print(f"pi0: {error}", file=sys.stderr)
    return int(failed)


def bags_below(paths: Sequence[Path]) -> list[Path]:
    """The bags among the paths, and the bags in those that are folders of bags."""
    found: list[Path] = []
    for path in paths:
        inside = sorted({mcap.parent for mcap in path.glob("*/*.mcap")}) if path.is_dir() else []
        found += inside if inside and not list(path.glob("*.mcap")) else [path]
    return found


def _say(text: str) -> None:
    print(text)
