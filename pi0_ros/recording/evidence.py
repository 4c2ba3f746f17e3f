"""Collect evidence for the quality gate from serialised messages.

To keep the cost low, only a sample of the bytes of a raw frame is read, a compressed frame is
decoded every two seconds, and joint states are read at most :data:`_VALUES_HZ` times a second.
"""

from __future__ import annotations

import io
import struct
import threading
import zlib
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rosbags.typesys import Stores, get_typestore

from pi0_ros.embodiment import Embodiment, EmbodimentError
from pi0_ros.embodiment.packing import JointStatePacker
from pi0_ros.recording.quality import Evidence, StreamEvidence
from pi0_ros.recording.topics import EpisodeTopic, Role
from pi0_ros.stamps import NS_PER_S

#: Start of a CDR message with a header: encapsulation, seconds, nanoseconds.
_STAMP = struct.Struct("<4xiI")
# A prime step, so that the samples cover all three channels.
_SAMPLE_STEP = 61
_VALUES_HZ = 50.0
_PICTURE_PERIOD_NS = 2_000_000_000
_COMPRESSED = "sensor_msgs/msg/CompressedImage"
_HEAD_BYTES = 128  # the header and fields of an Image lie in about this many first bytes


class EvidenceCollector:
    """The thread that writes (or reads) the bag calls :meth:`observe`; any thread may call
    :meth:`evidence`."""

    def __init__(self, embodiment: Embodiment, topics: Sequence[EpisodeTopic]) -> None:
        self._lock = threading.Lock()
        packer = JointStatePacker(embodiment)
        self._newest_ns = 0
        self._streams = [_stream(topic, packer) for topic in topics]

    def observe(self, topic: int, log_ns: int, data: bytes) -> None:
        """Read one message of the topic with this index in ``topics``."""
        with self._lock:
            self._newest_ns = max(self._newest_ns, log_ns)
            stream = self._streams[topic]
            try:
                stream.observe(log_ns, data)
            except Exception as error:  # no message of a driver may stop the writing
                stream.refused = f"a message of {len(data)} bytes cannot be read: {error!r}"

    @property
    def newest_ns(self) -> int:
        """Receipt time of the newest observed message; 0 without one."""
        return self._newest_ns

    def evidence(
        self,
        start_ns: int,
        end_ns: int,
        *,
        live: bool = False,
        lost: Sequence[int] = (),
        missed: Sequence[int] = (),
    ) -> Evidence:
        """The evidence from ``start_ns`` on; ``lost`` and ``missed`` count messages by topic."""
        zeros = [0] * len(self._streams)
        with self._lock:
            streams = tuple(
                stream.evidence(start_ns, lost_, missed_)
                for stream, lost_, missed_ in zip(
                    self._streams, lost or zeros, missed or zeros, strict=True
                )
            )
        return Evidence(start_ns=start_ns, end_ns=end_ns, streams=streams, live=live)


class _TopicEvidence:
    """Receipt times and stamps of one topic."""

    def __init__(self, topic: EpisodeTopic) -> None:
        self.topic = topic
        self.log_ns = array("q")
        self.stamp_ns = array("q")
        self.refused = ""

    def observe(self, log_ns: int, data: bytes) -> None:
        stamp_ns = log_ns  # a command may carry a future stamp, or none
        if self.topic.sensed:
            sec, nanosec = _STAMP.unpack_from(data)
            stamp_ns = sec * NS_PER_S + nanosec
            self.read_content(log_ns, data)
        self.log_ns.append(log_ns)
        self.stamp_ns.append(stamp_ns)

    def read_content(self, log_ns: int, data: bytes) -> None:
        """Read the content, for topics whose content is checked."""

    def evidence(self, since_ns: int, lost: int, missed: int, **more: Any) -> StreamEvidence:
        first = self.first(since_ns)
        return StreamEvidence(
            source=self.topic.name,
            role=self.topic.role,
            expected_hz=self.topic.expected_hz,
            log_ns=np.array(self.log_ns[first:], dtype=np.int64),
            stamp_ns=np.array(self.stamp_ns[first:], dtype=np.int64),
            lost=lost,
            missed=missed,
            refused=self.refused,
            **more,
        )

    def first(self, since_ns: int) -> int:
        """Index of the first message at or after a time; assumes that times ascend."""
        low, high = 0, len(self.log_ns)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.log_ns[middle] < since_ns else (low, middle)
        return low


class _CameraEvidence(_TopicEvidence):
    """Times, checksums and brightness of frames."""

    def __init__(self, topic: EpisodeTopic) -> None:
        super().__init__(topic)
        self.digest = array("Q")
        self.brightness = array("d")
        self._next_picture_ns = 0

    def read_content(self, log_ns: int, data: bytes) -> None:
        if self.topic.type == _COMPRESSED:
            # Two frames of the same picture differ only in their stamps, which come first.
            digest = zlib.crc32(memoryview(data)[_HEAD_BYTES:])
            brightness = self._decoded_brightness(log_ns, data)
        else:
            sample = np.frombuffer(data, np.uint8)[_HEAD_BYTES::_SAMPLE_STEP]
            digest = zlib.crc32(sample.tobytes())
            brightness = float(sample.mean()) if len(sample) else 0.0
        self.digest.append(digest)
        self.brightness.append(brightness)

    def _decoded_brightness(self, log_ns: int, data: bytes) -> float:
        if log_ns < self._next_picture_ns:
            return float("nan")
        self._next_picture_ns = log_ns + _PICTURE_PERIOD_NS
        try:
            message: Any = _STORE.deserialize_cdr(data, _COMPRESSED)
            picture = Image.open(io.BytesIO(message.data.tobytes()))
            picture.draft("L", (64, 64))  # decodes a JPEG at an eighth of its size
            return float(np.asarray(picture.convert("L")).mean())
        except (OSError, SyntaxError, ValueError) as error:
            self.refused = f"a frame cannot be decoded: {error}"
            return float("nan")

    def evidence(self, since_ns: int, lost: int, missed: int, **more: Any) -> StreamEvidence:
        first = self.first(since_ns)
        return super().evidence(
            since_ns,
            lost,
            missed,
            digest=np.array(self.digest[first:], dtype=np.uint64),
            brightness=np.array(self.brightness[first:], dtype=np.float64),
            **more,
        )


class _JointEvidence(_TopicEvidence):
    """Times and values of joint states."""

    def __init__(self, topic: EpisodeTopic, packer: JointStatePacker) -> None:
        super().__init__(topic)
        self._packer = packer
        self._columns = tuple(int(i) for i in packer.indices(topic.name))
        self._rows: list[NDArray[np.float64]] = []
        self._rows_ns = array("q")
        self._next_ns = 0

    def read_content(self, log_ns: int, data: bytes) -> None:
        if log_ns < self._next_ns:
            return
        self._next_ns = log_ns + int(0.9e9 / _VALUES_HZ)
        try:
            message: Any = _STORE.deserialize_cdr(data, self.topic.type)
            _, values = self._packer.read(self.topic.name, message)
        except EmbodimentError as error:
            self.refused = str(error).removeprefix(f"{self.topic.name}: ")
            return
        self._rows.append(values)
        self._rows_ns.append(log_ns)

    def evidence(self, since_ns: int, lost: int, missed: int, **more: Any) -> StreamEvidence:
        times = np.array(self._rows_ns, dtype=np.int64)
        first = int(np.searchsorted(times, since_ns))
        rows = self._rows[first:]
        values = np.stack(rows) if rows else np.empty((0, len(self._columns)))
        return super().evidence(
            since_ns,
            lost,
            missed,
            values=values,
            values_ns=times[first:],
            columns=self._columns,
            **more,
        )


_STORE = get_typestore(Stores.ROS2_JAZZY)


def _stream(topic: EpisodeTopic, packer: JointStatePacker) -> _TopicEvidence:
    if topic.role is Role.CAMERA:
        return _CameraEvidence(topic)
    if topic.role is Role.JOINT_STATE:
        return _JointEvidence(topic, packer)
    return _TopicEvidence(topic)
