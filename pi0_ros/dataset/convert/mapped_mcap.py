"""Messages of an uncompressed .mcap through a memory map, without copies.

`rosbags` copies each message three times, which with three raw cameras takes as long as decoding
them. It still reads compressed files and other formats.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import ChunkIndex

from pi0_ros.recording.mcap_file import CHUNK_HEAD, MESSAGE_HEAD

_RECORD_HEAD = 9  # opcode and length


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic of the file, its message type, and the definition of that type."""

    topic: str
    type: str
    definition: str


@dataclass(frozen=True, slots=True)
class MappedMcap:
    """An .mcap file without compressed chunks."""

    path: Path
    channels: dict[int, Channel]
    chunks: tuple[ChunkIndex, ...]

    def messages(self, topics: Collection[str]) -> Iterator[tuple[Channel, int, memoryview]]:
        """Channel, arrival time [ns] and bytes of each message, in order of arrival.

        The map stays open as long as a message's bytes are referenced.
        """
        wanted = {i: c for i, c in self.channels.items() if c.topic in topics}
        with self.path.open("rb") as stream:
            pages = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        places: list[tuple[int, int, int, int]] = []
        for chunk in self.chunks:
            places += _places(pages, chunk, wanted)
        places.sort(key=lambda place: place[0])
        for log_ns, channel, start, end in places:
            yield wanted[channel], log_ns, pages[start:end]


def map_mcap(path: Path) -> MappedMcap | None:
    """The mapped file, or None if it must be read through rosbags."""
    try:
        with path.open("rb") as stream:
            summary = make_reader(stream).get_summary()
    except McapError:
        return None
    if summary is None or not summary.chunk_indexes or not summary.channels:
        return None
    if any(chunk.compression for chunk in summary.chunk_indexes):
        return None
    channels = {}
    for number, channel in summary.channels.items():
        schema = summary.schemas.get(channel.schema_id)
        if schema is None or schema.encoding != "ros2msg" or channel.message_encoding != "cdr":
            return None
        channels[number] = Channel(channel.topic, schema.name, schema.data.decode())
    return MappedMcap(path, channels, tuple(summary.chunk_indexes))


def _places(
    pages: memoryview, chunk: ChunkIndex, wanted: Collection[int]
) -> Iterator[tuple[int, int, int, int]]:
    """Arrival time, channel, and start and end offset of the bytes of each message."""
    place = chunk.chunk_start_offset + CHUNK_HEAD.size
    last = place + chunk.uncompressed_size
    while place < last:
        opcode, length, channel, _, log_ns, _ = MESSAGE_HEAD.unpack_from(pages, place)
        end = place + _RECORD_HEAD + length
        if opcode == Opcode.MESSAGE and channel in wanted:
            yield log_ns, channel, place + MESSAGE_HEAD.size, end
        place = end
