"""Reading of episode bags: finding them, their metadata, and their messages by arrival time."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from pi0_ros.dataset.convert.mapped_mcap import map_mcap
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.episode import EpisodeInfo
from pi0_ros.recording.read import embodiment_of, read_episode

#: Number of bytes at the beginning and the end of a file that go into its fingerprint.
_HEAD_BYTES = 1 << 16
_TAIL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """A bag on disk and its metadata."""

    path: Path
    info: EpisodeInfo
    embodiment: Embodiment

    @classmethod
    def open(cls, path: Path) -> Bag:
        """Read a bag's metadata. Raises :class:`~pi0_ros.recording.errors.RecordingError`."""
        info = read_episode(path)
        return cls(path=path, info=info, embodiment=embodiment_of(info, str(path)))

    def topic(self, source: str) -> str:
        """Absolute name in the bag of the topic that the embodiment names ``source``."""
        for topic in self.info.topics:
            if source in (topic.source, topic.name):
                return topic.name
        return source if source.startswith("/") else f"/{source}"

    def messages(self, sources: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """Source, arrival time [ns] and content of each message, in order of arrival.

        Raises :class:`DatasetError` if a topic is not in the bag, or the bag is damaged.
        """
        wanted = {self.topic(source): source for source in sources}
        try:
            yield from self._read(wanted)
        except DatasetError:
            raise
        except Exception as error:  # damaged bytes can make the reader raise anything
            raise DatasetError(
                f"{self.path}: cannot be read: {error!r}; `pi0 bag repair` it if its recorder was"
                " killed"
            ) from error

    def _read(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, int, Any]]:
        files = sorted(self.path.glob("*.mcap"))
        file = map_mcap(files[0]) if len(files) == 1 else None
        if file is None:
            yield from self._read_slowly(wanted)
            return
        self._check_topics(wanted, {channel.topic for channel in file.channels.values()})
        definitions = {channel.type: channel.definition for channel in file.channels.values()}
        store = _typestore(definitions)
        for channel, log_ns, data in file.messages(wanted):
            yield wanted[channel.topic], log_ns, store.deserialize_cdr(data, channel.type)

    def _read_slowly(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, int, Any]]:
        """Read through rosbags: compressed bags, several files, SQLite."""
        with Reader(self.path) as reader:
            self._check_topics(wanted, {c.topic for c in reader.connections})
            connections = [c for c in reader.connections if c.topic in wanted]
            store = _typestore({c.msgtype: c.msgdef.data for c in connections})
            for connection, log_ns, data in reader.messages(connections):
                message = store.deserialize_cdr(data, connection.msgtype)
                yield wanted[connection.topic], log_ns, message

    def _check_topics(self, wanted: Collection[str], present: Collection[str]) -> None:
        if missing := sorted(set(wanted) - set(present)):
            raise DatasetError(
                f"{self.path}: no topic {', '.join(missing)}; it has {', '.join(sorted(present))}"
            )


def find_bags(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The bags among these folders and their direct subfolders, without duplicates.

    Bags of one folder are sorted by name. Raises :class:`DatasetError` for a path that is not a
    bag and contains none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if _is_bag(path):
            found[path] = None
            continue
        below = [each for each in sorted(path.glob("*")) if _is_bag(each)] if path.is_dir() else []
        if not below:
            raise DatasetError(
                f"{path}: is neither a bag nor a folder of bags (a bag has a metadata.yaml)"
            )
        found |= dict.fromkeys(below)
    return tuple(found)


def fingerprint(path: Path) -> str:
    """SHA-256 that distinguishes recordings, without reading every byte.

    It covers the size, the beginning and the end of each file: an .mcap ends with the time span,
    size and message count of each chunk. It excludes metadata.yaml, because notes may be added.
    """
    digest = hashlib.sha256()
    for file in sorted(path.glob("*.mcap")) or sorted(path.glob("*.db3")):
        size = file.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with file.open("rb") as stream:
            digest.update(stream.read(_HEAD_BYTES))
            stream.seek(max(0, size - _TAIL_BYTES))
            digest.update(stream.read())
    return digest.hexdigest()


def _is_bag(path: Path) -> bool:
    return (path / "metadata.yaml").is_file()


def _typestore(definitions: Mapping[str, str]) -> Any:
    """The message types of Jazzy and those that the bag defines."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in definitions.items():
        if name not in store.fielddefs:
            types = get_types_from_msg(text, name)
            store.register({n: t for n, t in types.items() if n not in store.fielddefs})
    return store
