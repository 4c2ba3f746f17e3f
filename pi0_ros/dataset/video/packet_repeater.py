"""Encoding of frames that a video shows several times.

A 50 Hz dataset from 30 Hz cameras shows two of three frames twice. An AV1 frame decodes to the same
picture again if its packet is repeated and it does not replace a reference picture. This holds for
key frames, which have no references, and for a single frame between two key frames, which SVT-AV1
stores in an unused slot. Such frames are encoded once and their packets are repeated.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

from pi0_ros.dataset.errors import DatasetError

#: Largest key frame distance [frames] at which packets of SVT-AV1 may be repeated.
WIDEST_GOP = 2


class EncodeEveryFrame:
    """Encodes a frame as often as it is shown, with any encoder.

    ``stream`` is a PyAV output stream of ``container``.
    """

    def __init__(self, container: Any, stream: Any, fps: int) -> None:
        self._container, self._stream = container, stream
        self._time_base = Fraction(1, fps)
        self._frame: Any = None
        self._shown = 0

    def show(self, frame: Any) -> None:
        """Encode a new frame."""
        self._frame = frame
        self.repeat()

    def repeat(self) -> None:
        """Encode the last frame once more."""
        self._frame.pts, self._frame.time_base = self._shown, self._time_base
        self._container.mux(self._stream.encode(self._frame))
        self._shown += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode())


class RepeatPackets:
    """Encodes a frame once and writes its packet as often as the frame is shown.

    ``stream`` is a PyAV output stream of ``container``, whose encoder gives one packet a
    frame, in order.
    """

    def __init__(self, container: Any, stream: Any, fps: int) -> None:
        self._container, self._stream = container, stream
        self._time_base = Fraction(1, fps)
        # Frames not written yet, oldest first: how often each is shown, and its packet.
        self._times: deque[int] = deque()
        self._packets: deque[Any] = deque()
        self._encoded = self._written = 0

    def show(self, frame: Any) -> None:
        """Encode a new frame; its packet is written after its repeats are counted."""
        self._times.append(1)
        frame.pts, frame.time_base = self._encoded, self._time_base
        self._encoded += 1
        self._packets.extend(self._stream.encode(frame))
        while self._packets and len(self._times) > 1:
            self._write()

    def repeat(self) -> None:
        """Show the last frame once more."""
        self._times[-1] += 1

    def finish(self) -> None:
        """Write the remaining packets. Raises :class:`DatasetError` if their number is wrong."""
        self._packets.extend(self._stream.encode())
        if len(self._packets) != len(self._times):
            raise DatasetError(
                f"the encoder gave {len(self._packets)} packets for the last"
                f" {len(self._times)} frames; use another codec"
            )
        while self._packets:
            self._write()

    def _write(self) -> None:
        import av

        packet = self._packets.popleft()
        data = bytes(packet)
        for _ in range(self._times.popleft()):
            copy = av.Packet(data)
            copy.stream, copy.time_base = self._stream, self._time_base
            copy.pts = copy.dts = self._written
            copy.duration = 1
            copy.is_keyframe = packet.is_keyframe
            self._container.mux(copy)
            self._written += 1
