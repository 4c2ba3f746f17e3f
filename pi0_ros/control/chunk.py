"""Action chunks: as they are received, and as they are executed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingChunk:
    """A chunk as it was received, unchecked. ``data`` is row-major (horizon, len(names))."""

    stamp_ns: int
    step_ns: int
    names: tuple[str, ...]
    horizon: int
    data: NDArray[np.float32]
    observation_stamp_ns: int
    sequence: int
    source_id: str
    embodiment: str
    checkpoint_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionChunk:
    """H future actions of A dimensions, in embodiment order and units.

    ``actions`` has shape (H, A); row k is to be reached at ``stamp_ns + k * step_ns``.
    """

    stamp_ns: int
    step_ns: int
    names: tuple[str, ...]
    actions: NDArray[np.float64]
    observation_stamp_ns: int
    sequence: int
    source_id: str
    checkpoint_id: str

    @property
    def horizon(self) -> int:
        """Number of rows."""
        return int(self.actions.shape[0])

    @property
    def end_ns(self) -> int:
        """Time of the last row; a chunk lasts at least one step."""
        return self.stamp_ns + max(self.horizon - 1, 1) * self.step_ns
