"""The tuning parameters of the executor, which are not properties of the robot."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Times in seconds; raises :class:`ValueError` where a value makes no sense.

    ``joint_state_timeout_s``: silence of a joint-state topic after which the robot holds.
    ``chunk_max_age_s``: oldest observation a chunk may have been computed from.
    ``chunk_max_future_s``: how far ahead of the clock a chunk may be stamped.
    ``source_timeout_s``: silence after which another chunk source may take over.
    ``splice_s``: shortest time over which a new chunk is blended in.
    ``teleop_timeout_s``: silence of a teleoperation source after which the robot holds.
    ``teleop_smoothing_s``: time constant with which teleoperation commands are smoothed.
    ``tick_gap_s``: longest time between two ticks after which the motion continues.
    ``resync_tolerance``: distance from the commanded pose, in the unit of each dimension. After
    an outage an arm that is farther away is held at its measured pose.
    ``homing_share``: share of the velocity limits that ``~/home`` uses, at most 1.
    """

    joint_state_timeout_s: float = 0.25
    chunk_max_age_s: float = 2.0
    chunk_max_future_s: float = 0.5
    source_timeout_s: float = 2.0
    splice_s: float = 0.2
    teleop_timeout_s: float = 0.25
    teleop_smoothing_s: float = 0.04
    tick_gap_s: float = 0.25
    resync_tolerance: float = 0.05
    homing_share: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0.0):
                what = "a time above 0 s" if field.name.endswith("_s") else "a number above 0"
                raise ValueError(f"{field.name} is {value}; give {what}")
        if self.homing_share > 1.0:
            raise ValueError(f"homing_share is {self.homing_share}; give at most 1, the limits")
