"""One rosbag2 bag being written: a folder with ``metadata.yaml`` and one .mcap.

The folder carries the suffix ``.recording`` until the bag is complete. A killed recorder leaves
such a folder behind; :mod:`pi0_ros.recording.repair` completes it.
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

#: Suffix of the folder of a bag that is not complete.
UNFINISHED = ".recording"
#: Deleted before the summary is written, so that the summary fits on a full disk.
RESERVE_NAME = ".reserve"
_RESERVE_BYTES = 1 << 20


class BagWriter:
    """Writes one bag. After an OSError of the disk, :meth:`finish` keeps what was written."""

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
        """Index of the .mcap so far; topic i has channel i + 1."""
        return self._file.index

    def write(self, messages: Sequence[Message]) -> None:
        """Write a chunk of messages; the channel of a message is its topic index + 1."""
        self._file.add_chunk(messages)

    def annotate(self, info: EpisodeInfo) -> None:
        """Write the changed description now, so that it survives a kill of this process."""
        self._file.add_metadata(RECORD_NAME, info.to_map())

    def sync(self) -> None:
        """Flush the written data to disk. Another thread may write meanwhile."""
        self._file.sync()

    def finish(self, info: EpisodeInfo, extra: dict[str, str] | None = None) -> Path:
        """Write the summary, flush everything to disk and rename the folder.

        ``extra`` maps the names of further files in the folder to their text.
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
        """Close the file. The folder stays unfinished and can be repaired."""
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
    """Finish an .mcap whose channels are ``topics`` in order, and write its metadata.yaml."""
    index = file.index
    counted = [(topic, index.counts.get(i + 1, 0)) for i, topic in enumerate(topics)]
    information = bag_information(path.name, counted, (index.start_ns, index.end_ns), info.to_map())
    file.add_metadata(RECORD_NAME, info.to_map())
    file.add_metadata("rosbag2", {"serialized_metadata": information_text(information)})
    file.finish()
    write_durably(path.parent / "metadata.yaml", metadata_text(information))


def write_durably(path: Path, text: str) -> None:
    """Write a file atomically: after a crash it is either complete or absent."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def sync_file(path: Path) -> None:
    """Flush the content of a file to disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Flush the entries of a folder to disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
