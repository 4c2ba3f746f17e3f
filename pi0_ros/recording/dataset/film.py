"""Frames that are shown several times, encoded once.

A dataset at 50 Hz from cameras at 30 Hz shows two of three frames twice. In AV1, a frame
that replaces none of the pictures it refers to decodes to the same picture when its packet
comes again: key frames, which refer to nothing, and between two key frames a single one,
which SVT-AV1 keeps in a slot that nothing refers to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from pi0_ros.recording.dataset.errors import DatasetError

#: The widest distance of key frames at which packets may be repeated.
WIDEST_GOP = 2


class Film:
    """Writes the packets of an encoder, each as often as its frame is shown.

    ``stream`` of ``container`` is a PyAV output stream of ``fps`` frames a second, whose
    encoder gives one packet a frame, in order.
    """

    def __init__(self, container: Any, stream: Any, fps: int) -> None:
        self._container, self._stream = container, stream
        self._time_base = Fraction(1, fps)
        # Of frames not written yet, oldest first: how often each is shown, and its packet.
        self._times: deque[int] = deque()
        self._packets: deque[Any] = deque()
        self._shown = 0

    def frame(self) -> None:
        """A frame goes to the encoder."""
        self._times.append(1)

    def repeat(self) -> None:
        """The last frame is shown once more."""
        self._times[-1] += 1

    def add(self, packets: Iterable[Any]) -> None:
        """Take what the encoder gave; the newest frame waits for its repeats."""
        self._packets.extend(packets)
        while self._packets and len(self._times) > 1:
            self._write()

    def finish(self) -> None:
        """Write what is left. Raises :class:`DatasetError` if frames and packets do not match."""
        if len(self._packets) != len(self._times):
            raise DatasetError(
                f"the encoder gave {len(self._packets)} packets for the last"
                f" {len(self._times)} frames; take another codec"
            )
        while self._packets:
            self._write()

    def _write(self) -> None:
        import av

        packet = self._packets.popleft()
        for _ in range(self._times.popleft()):
            again = av.Packet(bytes(packet))
            again.stream, again.time_base = self._stream, self._time_base
            again.pts = again.dts = self._shown
            again.duration = 1
            again.is_keyframe = packet.is_keyframe
            self._container.mux(again)
            self._shown += 1
