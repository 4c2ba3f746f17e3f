"""One rosbag2 bag being written: a folder with ``metadata.yaml`` and one .mcap.

The folder carries the suffix ``.recording`` until it is whole. What is found under that
name later belongs to a recorder that was killed, and is for :mod:`pi0_ros.recording.repair`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from pi0_ros.recording.definitions import definition
from pi0_ros.recording.episode import RECORD_NAME, EpisodeInfo
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.mcap_file import Index, McapFile, Message
from pi0_ros.recording.metadata import BagTopic, bag_information, information_text, metadata_text

#: Of the folder of a bag that is not whole.
UNFINISHED = ".recording"
#: Freed before the end is written, so that there is room for it on a full disk.
RESERVE_NAME = ".reserve"
_RESERVE_BYTES = 1 << 20


class BagWriter:
    """Writes one bag. OSErrors are the disk's; then :meth:`finish` with what it holds."""

    def __init__(
        self,
        directory: Path,
        name: str,
        topics: Sequence[BagTopic],
        info: EpisodeInfo,
        open_file: Callable[[Path], McapFile] = McapFile.create,
    ) -> None:
        self.path = directory / name
        self.folder = directory / f"{name}{UNFINISHED}"
        for path in (self.path, self.folder):
            if path.exists():
                raise RecordingError(f"{path} exists already; give another name or remove it")
        self.folder.mkdir(parents=True)
        self.topics = tuple(topics)
        self._file_name = f"{name}_0.mcap"
        try:
            self._reserve()
            self._file = open_file(self.folder / self._file_name)
            self._announce(info)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def bytes_written(self) -> int:
        """Size of the .mcap so far."""
        return self._file.size

    @property
    def index(self) -> Index:
        """What the .mcap holds so far; the channel of topic i is i + 1."""
        return self._file.index

    def write(self, messages: Sequence[Message]) -> None:
        """Write a chunk of messages, whose channels are 1 + the place of their topic."""
        self._file.add_chunk(messages)

    def annotate(self, info: EpisodeInfo) -> None:
        """Note what has changed, so that it survives the death of this process."""
        self._file.add_metadata(RECORD_NAME, info.to_map())

    def sync(self) -> None:
        """Have the disk confirm what was written so far; another thread may write meanwhile."""
        self._file.sync()

    def finish(self, info: EpisodeInfo, extra: dict[str, str] | None = None) -> Path:
        """Write the end, have the disk confirm everything, give the folder its name.

        ``extra``: further files of the folder, name to text.
        """
        (self.folder / RESERVE_NAME).unlink(missing_ok=True)
        finish_file(self._file, self.folder / self._file_name, self.topics, info)
        for name, text in (extra or {}).items():
            write_durably(self.folder / name, text)
        sync_folder(self.folder)
        os.rename(self.folder, self.path)
        sync_folder(self.path.parent)
        return self.path

    def abandon(self) -> None:
        """Leave the folder as it is, unfinished and repairable."""
        self._file.close()

    def discard(self) -> None:
        """Remove everything that was written."""
        self._file.close()
        shutil.rmtree(self.folder)

    def _reserve(self) -> None:
        descriptor = os.open(self.folder / RESERVE_NAME, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.posix_fallocate(descriptor, 0, _RESERVE_BYTES)
        finally:
            os.close(descriptor)

    def _announce(self, info: EpisodeInfo) -> None:
        self.annotate(info)
        for topic in self.topics:
            self._file.add_channel(
                topic.name,
                topic.type,
                definition(topic.type).text,
                {"offered_qos_profiles": topic.offered_yaml(), "topic_type_hash": topic.digest},
            )


def finish_file(file: McapFile, path: Path, topics: Sequence[BagTopic], info: EpisodeInfo) -> None:
    """End an .mcap, whose channels are the topics in order, and write its metadata.yaml."""
    index = file.index
    counted = [(topic, index.counts.get(i + 1, 0)) for i, topic in enumerate(topics)]
    information = bag_information(path.name, counted, (index.start_ns, index.end_ns), info.to_map())
    file.add_metadata(RECORD_NAME, info.to_map())
    file.add_metadata("rosbag2", {"serialized_metadata": information_text(information)})
    file.finish()
    write_durably(path.parent / "metadata.yaml", metadata_text(information))


def write_durably(path: Path, text: str) -> None:
    """Write a file that is either whole or not there, whatever happens."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def sync_file(path: Path) -> None:
    """Have the disk confirm what a file holds."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Have the disk confirm the names in a folder."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
