"""Files that an interrupted publication left: in the dataset's folders and named by no record."""

from __future__ import annotations

from pathlib import Path

from pi0_ros.dataset.format.info import episodes_file
from pi0_ros.dataset.format.reader import Dataset


def unlisted_files(dataset: Dataset) -> tuple[Path, ...]:
    """Data, video and episode files that belong to no episode of the dataset."""
    info = dataset.info
    named: set[str] = set()
    for record in dataset.records:
        named.add(info.data_file(record.data))
        named.add(episodes_file(record.meta))
        named |= {info.video_file(key, span.number) for key, span in record.videos.items()}
    found = []
    for folder in ("data", "videos", "meta/episodes"):
        for path in sorted((dataset.root / folder).rglob("*")):
            if path.is_file() and path.relative_to(dataset.root).as_posix() not in named:
                found.append(path)
    return tuple(found)


def remove_unlisted_files(dataset: Dataset) -> None:
    """Remove them."""
    for path in unlisted_files(dataset):
        path.unlink()
