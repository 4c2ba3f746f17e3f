"""A human's command as it is received."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TeleopCommand:
    """A command as it was received, unchecked.

    ``position`` and ``velocity`` belong to ``names``; an empty ``velocity`` is to be
    estimated. ``stamp_ns``: when the values are to be reached, on the ROS clock.
    """

    stamp_ns: int
    source_id: str
    deadman: bool
    names: tuple[str, ...]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
