"""Writing of an episode bag in the form that the recorder writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pi0_ros.dataset.export.messages import STORE
from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.bag import BagWriter
from pi0_ros.recording.definitions import definition
from pi0_ros.recording.episode import EpisodeInfo, Termination, TopicCount
from pi0_ros.recording.mcap_file import Message
from pi0_ros.recording.metadata import BagTopic, Offered
from pi0_ros.recording.topics import EpisodeTopic, Role, episode_topics

_CHUNK_BYTES = 4 << 20
_ROLES = (Role.CAMERA, Role.JOINT_STATE, Role.COMMAND)


class EpisodeBagWriter:
    """Writes messages of the embodiment's cameras, joint states and controllers, and extra topics.

    ``extra``: message type by topic. Arrival times must not decrease.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        embodiment: Embodiment,
        info: EpisodeInfo,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._topics = [t for t in episode_topics(embodiment) if t.role in _ROLES]
        self._topics += [
            EpisodeTopic(name=topic, type=kind, role=Role.EXTRA)
            for topic, kind in (extra or {}).items()
        ]
        self._info = info
        self._channels = {topic.name: i + 1 for i, topic in enumerate(self._topics)}
        self._types = {topic.name: topic.type for topic in self._topics}
        self._counts = dict.fromkeys(self._channels, 0)
        self._chunk: list[Message] = []
        self._bytes = 0
        directory.mkdir(parents=True, exist_ok=True)
        topics = [
            BagTopic(
                name=_absolute(topic.name),
                type=topic.type,
                digest=definition(topic.type).digest,
                offered=(Offered(reliable=topic.role is Role.COMMAND),),
            )
            for topic in self._topics
        ]
        self._writer = BagWriter(directory, name, topics, info)

    def add(self, topic: str, log_ns: int, message: Any) -> None:
        """Write a message that arrived at ``log_ns``."""
        self.add_raw(topic, log_ns, bytes(STORE.serialize_cdr(message, self._types[topic])))

    def add_raw(self, topic: str, log_ns: int, data: bytes) -> None:
        """Write the bytes of a message that arrived at ``log_ns``."""
        count = self._counts[topic]
        self._chunk.append(Message(self._channels[topic], log_ns, log_ns, count, data))
        self._counts[topic] = count + 1
        self._bytes += len(data)
        if self._bytes >= _CHUNK_BYTES:
            self._flush()

    def finish(self, end_ns: int) -> Path:
        """Finish the bag and return its folder."""
        self._flush()
        topics = tuple(
            TopicCount(
                name=_absolute(topic.name),
                source=topic.name,
                type=topic.type,
                role=topic.role,
                expected_hz=topic.expected_hz,
                received=self._counts[topic.name],
                written=self._counts[topic.name],
            )
            for topic in self._topics
        )
        return self._writer.finish(
            replace(
                self._info,
                topics=topics,
                end_ns=end_ns,
                complete=True,
                termination=Termination.STOPPED,
            )
        )

    def discard(self) -> None:
        """Delete the incomplete bag."""
        self._writer.discard()

    def _flush(self) -> None:
        if self._chunk:
            self._writer.write(self._chunk)
            self._chunk, self._bytes = [], 0


def _absolute(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"
