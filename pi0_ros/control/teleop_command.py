"""A teleoperation command as it is received."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TeleopCommand:
    """A command as it was received, unchecked.

    ``position`` and ``velocity`` are in the order of ``names``; an empty ``velocity`` is
    estimated. ``stamp_ns``: time on the ROS clock at which the robot is to reach the values.
    """

    stamp_ns: int
    source_id: str
    deadman: bool
    names: tuple[str, ...]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
