"""``pi0 dataset convert``: conversion of bags to a dataset, with progress."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from pi0_ros.dataset.convert.convert_bags import ConversionResult


def add_convert_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``convert`` to the verbs of ``pi0 dataset``."""
    verb = verbs.add_parser(
        "convert",
        help="convert bags into a new dataset, or append them to one",
        description="The code that runs live aligns the frames. Bags already in the dataset are"
        " skipped; run the same command again to continue after an interruption.",
    )
    verb.add_argument("bags", nargs="+", type=Path, metavar="BAG", help="bags, or folders of bags")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help="dataset to write")
    verb.add_argument(
        "--size",
        type=_size,
        default=224,
        metavar="PIXELS",
        help="side of the letterboxed images, or `native` (default: %(default)s, as live)",
    )
    verb.add_argument(
        "--codec",
        default="av1",
        choices=("av1", "h264", "hevc", "images"),
        help="video codec, or PNG images in the data files (default: %(default)s)",
    )
    verb.add_argument(
        "--gop", type=int, metavar="N", help="frames from one key frame to the next (default: 2)"
    )
    verb.add_argument(
        "--actions",
        default="auto",
        choices=("auto", "commands", "status", "states"),
        help="the controllers' commands, the commands in the executor's status, or the state"
        " measured at the next frame; auto: status if the bag has it, else commands"
        " (default: %(default)s)",
    )
    verb.add_argument(
        "--depth",
        action="append",
        default=[],
        type=_depth,
        metavar="NAME=TOPIC",
        help="also convert a 16-bit depth camera; may be repeated",
    )
    verb.add_argument(
        "--jobs", type=_positive, metavar="N", help="bags at once (default: one per core)"
    )
    verb.add_argument(
        "--accept-doubtful",
        action="store_true",
        help="also convert episodes that the quality gate refuses",
    )
    verb.add_argument(
        "--include-failed",
        action="store_true",
        help="also convert episodes that the operator marked as failed",
    )
    verb.set_defaults(func=_convert)


def progress_bar(unit: str) -> Progress:
    """A progress display on standard error, with the remaining time."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _convert(args: argparse.Namespace) -> int:
    from pi0_ros.dataset.convert.bags import find_bags
    from pi0_ros.dataset.convert.convert_bags import convert_bags
    from pi0_ros.dataset.convert.options import ConvertOptions
    from pi0_ros.dataset.convert.workers import ConversionProgress
    from pi0_ros.dataset.format.validate import validate

    options = ConvertOptions(
        size=args.size,
        codec=args.codec,
        gop=args.gop,
        actions=args.actions,
        depth=tuple(args.depth),
        doubtful=args.accept_doubtful,
        failed=args.include_failed,
    )
    options.check()
    bags = find_bags(args.bags)
    steps: dict[Path, ConversionProgress] = {}
    with progress_bar("s recorded") as bar:
        task = bar.add_task(f"{len(bags)} bags", total=None)

        def on_progress(step: ConversionProgress) -> None:
            steps[step.bag] = step
            finished = sum(each.done_s >= each.total_s for each in steps.values())
            bar.update(
                task,
                completed=round(sum(each.done_s for each in steps.values())),
                total=round(sum(each.total_s for each in steps.values())),
                description=f"{finished} of {len(steps)} bags",
            )

        result = convert_bags(bags, args.out, options, jobs=args.jobs, on_progress=on_progress)
    return _tell(args.out, result, validate(args.out))


def _tell(out: Path, result: ConversionResult, problems: tuple[str, ...]) -> int:
    info = result.info
    print(
        f"{out}: {info.total_episodes} episodes, {info.total_frames} frames at {info.fps} Hz,"
        f" {info.total_tasks} tasks; {len(result.added)} added,"
        f" {len(result.present)} already present, {len(result.refused)} refused"
    )
    for _, reason in result.refused:
        print(f"  refused: {reason}")
    for problem in problems:
        print(f"  - {problem}")
    if not problems:
        print(f"{out}: is valid")
    return 1 if problems or result.refused else 0


def _size(text: str) -> int:
    if text == "native":
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give pixels or `native`")
    return int(text)


def _depth(text: str) -> tuple[str, str]:
    name, equals, topic = text.partition("=")
    if not name or not equals or not topic:
        raise argparse.ArgumentTypeError(f"{text!r}; write NAME=TOPIC, such as head=head/depth")
    return name, topic


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not above zero")
    return int(text)
