"""Resampling of observations, which arrive at the camera rate, to the dataset's frame rate.

Frame k stands for the time ``start + k / fps``. It shows the newest observation whose stamp is
not later than that time, as a policy would have seen it. Until the next observation, frames repeat
the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.format.info import frame_offset_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedObservation:
    """An observation that frames will show: its images, and their own stamps [ns], by feature."""

    stamp_ns: int
    state: NDArray[np.float64]
    images: dict[str, NDArray[Any]]
    stamps: dict[str, int]


class FrameGrid:
    """Calls ``show(time_ns, observation)`` for each frame, in order."""

    def __init__(self, fps: int, show: Callable[[int, StampedObservation], None]) -> None:
        self._fps, self._show = fps, show
        self._start_ns: int | None = None
        self._count = 0
        self._newest: StampedObservation | None = None

    @property
    def started(self) -> bool:
        """Whether the first observation was added."""
        return self._start_ns is not None

    def add(self, held: StampedObservation) -> None:
        """Add the next observation; the first one starts frame 0."""
        if self._start_ns is None:
            self._start_ns = held.stamp_ns
        self._show_before(held.stamp_ns)
        self._newest = held

    def finish(self) -> None:
        """Show the frames up to the last observation's stamp."""
        if self._newest is not None:
            self._show_before(self._newest.stamp_ns + 1)

    def _show_before(self, stamp_ns: int) -> None:
        while self._newest is not None and (time_ns := self._next_ns()) < stamp_ns:
            self._show(time_ns, self._newest)
            self._count += 1

    def _next_ns(self) -> int:
        assert self._start_ns is not None
        return self._start_ns + frame_offset_ns(self._count, self._fps)
