"""Builds aligned observations from messages, live and from a bag.

camera_sync gives the messages of its subscriptions, the dataset converter those of a bag, each
with its time of arrival. Both get the same observations, because this code neither asks a clock
nor knows where a message came from. Messages are duck-typed: those of rclpy and of rosbags have
the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.camera_encodings import ImageError
from pi0_ros.embodiment.errors import EmbodimentError
from pi0_ros.embodiment.packing import JointStatePacker
from pi0_ros.embodiment.types import Embodiment
from pi0_ros.stamps import nanoseconds
from pi0_ros.sync.alignment import Aligner
from pi0_ros.sync.images import FrameReader
from pi0_ros.sync.report import SyncReport
from pi0_ros.sync.timed_buffer import Fault, SyncRefusal
from pi0_ros.sync.types import AlignedSet, CameraStream
from pi0_ros.sync.views import Canvas


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedObservation:
    """One set of S state values and the pixels of every camera.

    The canvas owns ``images`` and overwrites them with the next message.
    """

    aligned: AlignedSet[Any, Any]
    state: NDArray[np.float64]
    images: Mapping[str, NDArray[np.uint8]]


class ObservationBuilder:
    """Checks, aligns and draws the messages of one embodiment.

    Refusals are counted in :attr:`report`. Times are nanoseconds on the ROS clock.
    Not thread-safe.
    """

    def __init__(self, embodiment: Embodiment, canvas: Canvas) -> None:
        self._readers = {camera.name: FrameReader(camera) for camera in embodiment.cameras}
        self._packer = JointStatePacker(embodiment)
        self._canvas = canvas
        self._states = len(embodiment.state)
        self._drawn: dict[str, int] = {}
        self.aligner: Aligner[Any, Any] = Aligner(
            [CameraStream(name=c.name, rate_hz=c.rate_hz) for c in embodiment.cameras],
            self._packer.topics,
            embodiment.sync,
        )
        self.report = SyncReport(
            {camera.name: camera.rate_hz for camera in embodiment.cameras}
            | dict.fromkeys(self.aligner.states, embodiment.rates.joint_state_hz)
        )

    @property
    def joint_topics(self) -> tuple[str, ...]:
        """Topics that measure the robot."""
        return self._packer.topics

    def clear(self) -> None:
        """Forget every message. Called after a jump of the clock."""
        self.aligner.clear()
        self._drawn.clear()

    def frame(self, camera: str, message: Any, now_ns: int) -> AlignedObservation | None:
        """Take an image that arrived at ``now_ns``; the set it completes, if any."""
        stream = self.aligner.cameras[camera]
        self.report.arrived(camera)
        try:
            self._readers[camera].check(message)
        except ImageError as error:
            self._count(stream.refuse(Fault.MALFORMED, str(error)))
        else:
            self._count(stream.add(nanoseconds(message.header.stamp), message, now_ns))
        return self._look_for_a_set(now_ns)

    def joint_states(self, topic: str, message: Any, now_ns: int) -> AlignedObservation | None:
        """Take joint states that arrived at ``now_ns``; the set that waited for them, if due."""
        stream = self.aligner.states[topic]
        self.report.arrived(topic)
        try:
            _, values = self._packer.read(topic, message)
        except EmbodimentError as error:
            self._count(stream.refuse(Fault.MALFORMED, str(error)))
        else:
            self._count(stream.add(nanoseconds(message.header.stamp), values, now_ns))
        return self._look_for_a_set(now_ns) if self.aligner.waits_past(now_ns) else None

    def _look_for_a_set(self, now_ns: int) -> AlignedObservation | None:
        selected = self.aligner.select(now_ns)
        if isinstance(selected, AlignedSet):
            return self._observe(selected)
        self._count(selected)
        return None

    def _observe(self, aligned: AlignedSet[Any, Any]) -> AlignedObservation | None:
        for name, frame in aligned.frames.items():
            try:
                self._draw(name, frame.stamp_ns, frame.item)
            except ImageError as error:
                dropped = self.aligner.cameras[name].drop_newest(Fault.MALFORMED, str(error))
                self._count(dropped)
                return None
        state = np.empty(self._states)
        for topic, joints in aligned.states.items():
            state[self._packer.indices(topic)] = joints.item
        self.report.published(aligned)
        return AlignedObservation(aligned=aligned, state=state, images=self._canvas.images)

    def _draw(self, camera: str, stamp_ns: int, message: Any) -> None:
        """Decode and draw a frame, unless it is the one drawn last."""
        if self._drawn.get(camera) == stamp_ns:
            return
        self._drawn.pop(camera, None)
        self._canvas.draw(camera, self._readers[camera].decode(message))
        self._drawn[camera] = stamp_ns

    def _count(self, refusal: SyncRefusal | None) -> None:
        if refusal is not None:
            self.report.refused(refusal)
