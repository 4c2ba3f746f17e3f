"""``pi0 dataset show``: a report about a dataset, or an episode in Rerun."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_show_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``show`` to the verbs of ``pi0 dataset``."""
    verb = verbs.add_parser(
        "show",
        help="write a report about a dataset, or show an episode in Rerun",
        description="Without --episode and --rrd, writes report.html and report.png. With one of"
        " them, opens the Rerun viewer, or writes a Rerun recording to a file.",
    )
    verb.add_argument("directory", type=Path, metavar="DIR", help="folder of the dataset")
    verb.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the report (default: DIR/report)"
    )
    verb.add_argument("--episode", type=int, metavar="N", help="episode for Rerun, counted from 0")
    verb.add_argument("--rrd", type=Path, metavar="FILE", help="write a Rerun recording")
    verb.set_defaults(func=_show)


def _show(args: argparse.Namespace) -> int:
    if args.episode is not None or args.rrd is not None:
        from pi0_ros.dataset.view.viewer import show_episodes

        episode = args.episode or 0
        show_episodes(args.directory, (episode,), args.rrd)
        if args.rrd is not None:
            print(f"{args.rrd}: episode {episode}; open it with `rerun {args.rrd}`")
        return 0
    from pi0_ros.dataset.view.report import write_report

    page, picture = write_report(args.directory, args.out or args.directory / "report")
    print(f"{page}\n{picture}")
    return 0
