"""Write the end of a bag whose recorder was killed.

Complete chunks stay where they are. The complete messages of the last, partial chunk are kept. The
counts and times are updated to those of the messages in the file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from pi0_ros.recording.bag import RESERVE_NAME, UNFINISHED, finish_file, sync_folder
from pi0_ros.recording.episode import RECORD_NAME, EpisodeInfo, Termination
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.mcap_file import CHUNK_HEAD, MESSAGE_HEAD, McapFile
from pi0_ros.recording.metadata import BagTopic, Offered
from pi0_ros.recording.read import mcap_of, read_episode
from pi0_ros.recording.scan import Scan, scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Where the bag is, the messages kept, and the bytes of partial messages dropped."""

    path: Path
    info: EpisodeInfo
    kept: int
    saved: int
    dropped_bytes: int
    changed: bool

    def text(self) -> str:
        """One sentence for the operator."""
        if not self.changed:
            return f"{self.path}: whole; nothing to repair"
        return (
            f"{self.path}: kept {self.kept} messages over {self.info.duration_s:.1f} s"
            f" ({self.saved} of them from the chunk that broke off),"
            f" dropped {self.dropped_bytes} bytes of an unfinished message"
        )


def repair(path: Path) -> Repair:
    """Finish an unfinished bag and rename its folder; leave a complete bag as it is.

    Raises :class:`RecordingError` if the bag has no message.
    """
    mcap = mcap_of(path)
    found = scan(mcap)
    info = EpisodeInfo.from_map(found.metadata.get(RECORD_NAME, {}), str(path))
    if found.ended and _has_metadata(mcap.parent):
        return Repair(
            path=mcap.parent,
            info=info,
            kept=found.index.messages,
            saved=0,
            dropped_bytes=0,
            changed=False,
        )
    if not found.index.messages and not found.saved:
        raise RecordingError(f"{path}: holds no message; remove it")
    (mcap.parent / RESERVE_NAME).unlink(missing_ok=True)  # the summary needs space on a full disk
    dropped = _cut(mcap, found)
    file = McapFile(os.open(mcap, os.O_WRONLY | os.O_APPEND), found.index, found.size)
    if found.saved:
        file.add_chunk(found.saved)
    info = _with_counts(info, file)
    finish_file(file, mcap, _topics(file), info)
    return Repair(
        path=_give_name(mcap.parent),
        info=info,
        kept=file.index.messages,
        saved=len(found.saved),
        dropped_bytes=dropped,
        changed=True,
    )


def _has_metadata(folder: Path) -> bool:
    """Whether a bag has its final name and readable metadata."""
    if folder.name.endswith(UNFINISHED):
        return False
    try:
        read_episode(folder)
    except RecordingError:
        return False
    return True


def _cut(mcap: Path, found: Scan) -> int:
    """Truncate the file after its complete part; return the bytes that are lost."""
    os.truncate(mcap, found.size)
    if found.ended:  # only the summary is cut, which is written again
        return 0
    heads = CHUNK_HEAD.size + MESSAGE_HEAD.size * len(found.saved)
    kept = heads + sum(len(message.data) for message in found.saved)
    return max(0, found.total - found.size - kept)


def _with_counts(info: EpisodeInfo, file: McapFile) -> EpisodeInfo:
    """The description with the counts of the file; the losses are not known."""
    counts = {
        channel.topic: file.index.counts.get(channel.id, 0) for channel in file.index.channels
    }
    topics = tuple(
        replace(topic, received=counts.get(topic.name, 0), written=counts.get(topic.name, 0))
        for topic in info.topics
    )
    if info.termination is not Termination.RECORDING:  # the recorder had stopped the episode
        return replace(info, topics=topics)
    return replace(
        info,
        topics=topics,
        end_ns=file.index.end_ns,
        complete=False,
        termination=Termination.REPAIRED,
        reason="the recorder ended before the episode did; repaired",
    )


def _topics(file: McapFile) -> list[BagTopic]:
    return [
        BagTopic(
            name=channel.topic,
            type=next(s.name for s in file.index.schemas if s.id == channel.schema_id),
            digest=channel.metadata.get("topic_type_hash", ""),
            offered=tuple(
                Offered(
                    reliable=profile["reliability"] == "reliable",
                    latched=profile["durability"] == "transient_local",
                    depth=int(profile["depth"]),
                )
                for profile in yaml.safe_load(channel.metadata["offered_qos_profiles"]) or ()
            ),
        )
        for channel in file.index.channels
    ]


def _give_name(folder: Path) -> Path:
    sync_folder(folder)
    if not folder.name.endswith(UNFINISHED):
        return folder
    whole = folder.with_name(folder.name.removesuffix(UNFINISHED))
    if whole.exists():
        raise RecordingError(f"{whole} exists already; {folder} is repaired and keeps its name")
    os.rename(folder, whole)
    sync_folder(whole.parent)
    return whole
