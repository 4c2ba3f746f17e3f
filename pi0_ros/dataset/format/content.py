"""What a dataset hands out: one frame, or the numbers of one episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.format.episodes import EpisodeRecord
from pi0_ros.dataset.format.features import ACTION, STATE
from pi0_ros.dataset.format.provenance import EpisodeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. ``images``: uint8 by feature name, RGB (H, W, 3), depth uint16 (H, W).

    ``values``: every other feature but the counters, (n,) each; ``timestamp_s`` from the
    start of its episode.
    """

    index: int
    episode: int
    frame: int
    timestamp_s: float
    task: str
    images: Mapping[str, NDArray[Any]]
    values: Mapping[str, NDArray[Any]]

    @property
    def state(self) -> NDArray[np.float32]:
        """Measured state (S,)."""
        return self.values[STATE]

    @property
    def action(self) -> NDArray[np.float32]:
        """Action (A,) commanded at this time."""
        return self.values[ACTION]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """The numbers of one episode of N frames: (N, n) by feature name, (N,) task indices."""

    record: EpisodeRecord
    source: EpisodeSource
    values: Mapping[str, NDArray[Any]]
    task_index: NDArray[np.int64]
    tasks: tuple[str, ...]

    def __len__(self) -> int:
        return self.record.length

    @property
    def state(self) -> NDArray[np.float32]:
        """Measured states (N, S)."""
        return self.values[STATE]

    @property
    def action(self) -> NDArray[np.float32]:
        """Actions (N, A)."""
        return self.values[ACTION]

    def task(self, frame: int) -> str:
        """The instruction in force at a frame."""
        return self.tasks[int(self.task_index[frame])]

    @property
    def marks(self) -> tuple[tuple[int, str], ...]:
        """(frame, text) wherever the instruction changes, frame 0 first."""
        changes = np.flatnonzero(np.diff(self.task_index, prepend=-1))
        return tuple((int(frame), self.task(int(frame))) for frame in changes)
