"""``pi0 dataset``: conversion of bags to LeRobot datasets and back, editing, validation, views."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from pi0_ros.cli.dataset_convert import add_convert_parser
from pi0_ros.cli.dataset_show import add_show_parser


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``dataset`` and its subcommands."""
    parser = subparsers.add_parser("dataset")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    add_convert_parser(verbs)
    _add_to_bags(verbs)
    add_show_parser(verbs)
    for name, summary, function in (
        ("info", "print a summary of a dataset", _info),
        ("validate", "list the problems of a dataset", _validate),
        (
            "stats",
            "recompute meta/stats.json from all numbers and a sample of images",
            _stats,
        ),
    ):
        verb = verbs.add_parser(name, help=summary)
        verb.add_argument("directory", type=Path, metavar="DIR", help="folder of the dataset")
        verb.set_defaults(func=function)
    _add_edits(verbs)
    _add_clouds(verbs)
    for verb in verbs.choices.values():
        verb.set_defaults(func=_saying_what_the_disk_refused(verb.get_default("func")))


def _saying_what_the_disk_refused(
    run: Callable[[argparse.Namespace], int],
) -> Callable[[argparse.Namespace], int]:
    """Report an OSError without a file name, such as a full disk, in one line without traceback."""

    @wraps(run)
    def told(args: argparse.Namespace) -> int:
        from pi0_ros.dataset.errors import DatasetError

        try:
            return run(args)
        except OSError as error:
            if error.filename is not None or isinstance(error, BrokenPipeError):
                raise
            where = getattr(args, "out", None) or getattr(args, "directory", None)
            raise DatasetError(f"{where}: {error.strerror or error}") from error

    return told


def _add_to_bags(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser(
        "to-bags", help="write a bag with the robot's topics for each episode of a dataset"
    )
    verb.add_argument("directory", type=Path, metavar="DIR", help="folder of the dataset")
    verb.add_argument("--out", required=True, type=Path, metavar="BAGS", help="folder for the bags")
    verb.add_argument(
        "--episodes", type=_numbers, metavar="N,N-N", help="only these episodes, counted from 0"
    )
    verb.add_argument(
        "--embodiment", metavar="E", help="name or YAML file of the robot, if the dataset has none"
    )
    verb.set_defaults(func=_to_bags)


def _add_clouds(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser(
        "clouds", help="write a bag's point clouds as NumPy files (needs sensor_msgs_py)"
    )
    verb.add_argument("bag", type=Path, metavar="BAG", help="folder of the bag")
    verb.add_argument("--topic", required=True, metavar="TOPIC", help="of sensor_msgs/PointCloud2")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    verb.set_defaults(func=_clouds)


def _add_edits(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    merge = verbs.add_parser("merge", help="put the episodes of several datasets into a new one")
    merge.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    merge.add_argument("--out", required=True, type=Path, metavar="DIR", help="dataset to write")
    merge.set_defaults(func=_merge)

    split = verbs.add_parser(
        "split",
        help="write several datasets from the episodes of one",
        description="Example: pi0 dataset split cups --out parts train=0-44 val=45-49",
    )
    split.add_argument("directory", type=Path, metavar="DIR")
    split.add_argument(
        "parts", nargs="+", metavar="NAME=N,N-N", help="name of a dataset and its episodes"
    )
    split.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the datasets"
    )
    split.set_defaults(func=_split)

    delete = verbs.add_parser("delete", help="delete episodes, in place or into a new dataset")
    delete.add_argument("directory", type=Path, metavar="DIR")
    delete.add_argument("--episodes", required=True, type=_numbers, metavar="N,N-N")
    delete.add_argument("--out", type=Path, metavar="DIR", help="write a new dataset instead")
    delete.set_defaults(func=_delete)


def _to_bags(args: argparse.Namespace) -> int:
    from pi0_ros.cli.dataset_convert import progress_bar
    from pi0_ros.dataset.export.to_bags import to_bags
    from pi0_ros.embodiment import load

    embodiment = load(args.embodiment) if args.embodiment else None
    with progress_bar("episodes") as bar:
        task = bar.add_task("to bags", total=None)
        paths = to_bags(
            args.directory,
            args.out,
            args.episodes,
            embodiment,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    print(f"{args.out}: {len(paths)} bags, {paths[0].name} to {paths[-1].name}")
    return 0


def _clouds(args: argparse.Namespace) -> int:
    from pi0_ros.dataset.convert.clouds import export_clouds

    print(f"{args.out}: {export_clouds(args.bag, args.topic, args.out)} clouds")
    return 0


def _info(args: argparse.Namespace) -> int:
    from pi0_ros.dataset import Dataset
    from pi0_ros.dataset.view.summary import facts

    for key, value in facts(Dataset.open(args.directory)).items():
        print(f"{key:<16}{value}")
    return 0


def _validate(args: argparse.Namespace) -> int:
    from pi0_ros.dataset.format.validate import validate

    problems = validate(args.directory)
    for problem in problems:
        print(f"  - {problem}")
    print(f"{args.directory}: {'is valid' if not problems else f'{len(problems)} problems'}")
    return 1 if problems else 0


def _stats(args: argparse.Namespace) -> int:
    from pi0_ros.dataset.edit import recompute

    stats = recompute(args.directory)
    print(f"{args.directory}: statistics of {len(stats)} features written")
    return 0


def _merge(args: argparse.Namespace) -> int:
    from pi0_ros.dataset.edit import merge

    info = merge(args.directories, args.out)
    _tell(args.out, info.total_episodes, info.total_frames, info.total_tasks)
    return 0


def _split(args: argparse.Namespace) -> int:
    from pi0_ros.dataset.edit import split
    from pi0_ros.dataset.errors import DatasetError

    parts: dict[Path, tuple[int, ...]] = {}
    for text in args.parts:
        name, equals, episodes = text.partition("=")
        if not equals or not name:
            raise DatasetError(f"{text!r} has no name; write NAME=EPISODES, such as train=0-44")
        if args.out / name in parts:
            raise DatasetError(f"{name} is given twice; write {name}=EPISODES,EPISODES")
        try:
            parts[args.out / name] = _numbers(episodes)
        except argparse.ArgumentTypeError as error:
            raise DatasetError(f"{text!r}: {error}") from error
    for out, info in split(args.directory, parts).items():
        _tell(out, info.total_episodes, info.total_frames, info.total_tasks)
    return 0


def _delete(args: argparse.Namespace) -> int:
    from pi0_ros.dataset.edit import delete

    info = delete(args.directory, args.episodes, args.out)
    _tell(args.out or args.directory, info.total_episodes, info.total_frames, info.total_tasks)
    return 0


def _tell(out: Path, episodes: int, frames: int, tasks: int) -> None:
    print(f"{out}: {episodes} episodes, {frames} frames, {tasks} tasks")


def _numbers(text: str) -> tuple[int, ...]:
    """Episodes like ``0,3,7-9``."""
    found: dict[int, None] = {}
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        if (
            not first.isdigit()
            or (dash and not last.isdigit())
            or (dash and int(last) < int(first))
        ):
            raise argparse.ArgumentTypeError(f"{piece!r} is not an episode; write 3, 0,2 or 0-44")
        found |= dict.fromkeys(range(int(first), int(last if dash else first) + 1))
    return tuple(found)
