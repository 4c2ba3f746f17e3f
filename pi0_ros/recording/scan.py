"""Read an .mcap that may be cut off: its complete part and the messages after it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, MessageIndex, Metadata, MetadataIndex, Schema

from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.mcap_file import CHUNK_HEAD, MAGIC, MESSAGE_HEAD, Index, Message

_RecordT = TypeVar("_RecordT", Channel, MessageIndex, Metadata, Schema)

_HEAD = 9  # opcode and length of a record
_END = frozenset({Opcode.DATA_END, Opcode.FOOTER})


@dataclass(slots=True)
class Scan:
    """The content of a file.

    ``index`` and ``size`` [bytes] describe its complete part, ``total`` is the size of the file.
    ``metadata`` maps by name, ``saved`` are the complete messages of a partial chunk, and ``ended``
    says whether the file has a summary.
    """

    index: Index = field(default_factory=Index)
    size: int = 0
    total: int = 0
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    saved: list[Message] = field(default_factory=list)
    ended: bool = False


@dataclass(slots=True)
class _Chunk:
    """A chunk whose message indexes were not all read yet: message counts by channel."""

    record: ChunkIndex
    counts: dict[int, int]

    @property
    def whole(self) -> bool:
        return self.record.message_index_offsets.keys() == self.counts.keys()


def scan(path: Path) -> Scan:
    """Read a file up to its end or first partial record. Only the heads of messages are read.

    Raises :class:`RecordingError` if it is no .mcap, or has compressed chunks.
    """
    with path.open("rb") as stream:
        found = Scan(total=path.stat().st_size, size=len(MAGIC))
        if stream.read(len(MAGIC)) != MAGIC:
            raise RecordingError(f"{path}: not an .mcap: it does not begin like one")
        chunk: _Chunk | None = None
        for opcode, offset, end in _records(stream, found.total):
            if opcode in _END:
                found.ended = chunk is None
                break
            if opcode == Opcode.CHUNK:
                if chunk is not None:
                    break
                chunk = _chunk(stream, path, offset, end)
                continue
            body = ReadDataStream(io.BytesIO(stream.read(end - offset - _HEAD)))
            if opcode == Opcode.MESSAGE_INDEX and chunk is not None:
                channel = _read(MessageIndex, body, path, offset).channel_id
                chunk.record.message_index_offsets[channel] = offset
                chunk.record.message_index_length += end - offset
                if not chunk.whole:
                    continue
                found.index.add_chunk(chunk.record, chunk.counts)
                chunk = None
            elif chunk is not None:
                break
            else:
                _note(found, opcode, body, path, offset, end)
            found.size = end
        if not found.ended:
            found.saved = [message for _, message in _messages(stream, found.size, found.total)]
    return found


def _records(stream: BinaryIO, total: int) -> Iterator[tuple[int, int, int]]:
    """Opcode, start and end of each complete record; the stream is positioned after its head.

    Zeros end the records: a power cut leaves them where the disk had not written yet.
    """
    offset = len(MAGIC)
    while offset + _HEAD <= total:
        stream.seek(offset)
        head = stream.read(_HEAD)
        end = offset + _HEAD + int.from_bytes(head[1:], "little")
        if end > total or not head[0]:
            return
        yield head[0], offset, end
        offset = end


def _chunk(stream: BinaryIO, path: Path, offset: int, end: int) -> _Chunk:
    stream.seek(offset)
    _, _, start_ns, end_ns, size, _, name_length, _ = CHUNK_HEAD.unpack(
        stream.read(CHUNK_HEAD.size)
    )
    if name_length:
        raise RecordingError(
            f"{path}: its chunks are compressed, which this suite does not write;"
            " use `mcap recover` of the MCAP command-line tool"
        )
    counts: dict[int, int] = {}
    for channel, _ in _messages(stream, offset, end, with_data=False):
        counts[channel] = counts.get(channel, 0) + 1
    record = ChunkIndex(
        chunk_length=end - offset,
        chunk_start_offset=offset,
        compression="",
        compressed_size=size,
        message_end_time=end_ns,
        message_index_length=0,
        message_index_offsets={},
        message_start_time=start_ns,
        uncompressed_size=size,
    )
    return _Chunk(record, counts)


def _messages(
    stream: BinaryIO, offset: int, total: int, *, with_data: bool = True
) -> Iterator[tuple[int, Message]]:
    """Channel and message of each complete message of the chunk at ``offset``, if there is one."""
    stream.seek(offset)
    head = stream.read(CHUNK_HEAD.size)
    if len(head) < CHUNK_HEAD.size or head[0] != Opcode.CHUNK:
        return
    chunk_end = offset + _HEAD + CHUNK_HEAD.unpack(head)[1]
    place = offset + CHUNK_HEAD.size
    while place + MESSAGE_HEAD.size <= min(total, chunk_end):
        stream.seek(place)
        opcode, length, channel, sequence, log_ns, publish_ns = MESSAGE_HEAD.unpack(
            stream.read(MESSAGE_HEAD.size)
        )
        place += _HEAD + length
        if opcode != Opcode.MESSAGE or place > total:
            return
        size = length + _HEAD - MESSAGE_HEAD.size
        data = stream.read(size) if with_data else b""
        yield channel, Message(channel, log_ns, publish_ns, sequence, data)


def _read(kind: type[_RecordT], body: ReadDataStream, path: Path, offset: int) -> _RecordT:
    try:
        record: _RecordT = kind.read(body)
    except (McapError, ValueError, struct.error) as error:
        raise RecordingError(
            f"{path}: damaged at byte {offset}: {error}; `mcap recover` of the MCAP command-line"
            " tool may save the rest"
        ) from error
    return record


def _note(
    found: Scan, opcode: int, body: ReadDataStream, path: Path, offset: int, end: int
) -> None:
    """Keep a record that is neither a chunk nor a message index."""
    if opcode == Opcode.SCHEMA:
        found.index.schemas.append(_read(Schema, body, path, offset))
    elif opcode == Opcode.CHANNEL:
        channel = _read(Channel, body, path, offset)
        found.index.channels.append(channel)
        found.index.counts.setdefault(channel.id, 0)
    elif opcode == Opcode.METADATA:
        metadata = _read(Metadata, body, path, offset)
        found.metadata[metadata.name] = metadata.metadata
        found.index.metadata.append(
            MetadataIndex(offset=offset, length=end - offset, name=metadata.name)
        )
