"""One frame, or the numbers of one episode, as a dataset returns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.format.episode_records import EpisodeRecord
from pi0_ros.dataset.format.features import ACTION, STATE
from pi0_ros.dataset.format.provenance import EpisodeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame.

    ``images``: by feature name, RGB uint8 (H, W, 3) or depth uint16 (H, W). ``values``: the other
    features without indices, (n,) each. ``timestamp_s``: since the start of the episode.
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
        """Commanded action (A,)."""
        return self.values[ACTION]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """The numbers of one episode of N frames: ``values`` (N, n), ``task_index`` (N,)."""

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
        """(frame, text) at frame 0 and wherever the instruction changes."""
        changes = np.flatnonzero(np.diff(self.task_index, prepend=-1))
        return tuple((int(frame), self.task(int(frame))) for frame in changes)
