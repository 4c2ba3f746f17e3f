"""The executor's few tuning parameters: what is no fact of the robot."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Times in seconds; raises :class:`ValueError` where one is not positive.

    ``joint_state_timeout_s``: silence of a joint-state topic after which the robot holds.
    ``chunk_max_age_s``: oldest observation a chunk may have been computed from.
    ``chunk_max_future_s``: how far ahead of the clock a chunk may be stamped.
    ``source_timeout_s``: silence after which another chunk source may take over.
    ``splice_s``: shortest time over which a new chunk is blended in.
    """

    joint_state_timeout_s: float = 0.25
    chunk_max_age_s: float = 2.0
    chunk_max_future_s: float = 0.5
    source_timeout_s: float = 2.0
    splice_s: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{field.name} is {value}; give a time above 0 s")
