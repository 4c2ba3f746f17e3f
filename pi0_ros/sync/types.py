"""Types of aligned sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pi0_ros.stamps import NS_PER_S
from pi0_ros.sync.timed_buffer import Stamped

FrameT = TypeVar("FrameT")
StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStream:
    """A camera by name and the rate [Hz] its driver is expected to keep."""

    name: str
    rate_hz: float

    @property
    def period_ns(self) -> int:
        """Expected time between two frames [ns]."""
        return round(NS_PER_S / self.rate_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedSet(Generic[FrameT, StateT]):
    """One frame of every camera and the joint states nearest to the newest of them.

    ``stamp_ns``: newest frame; ``skew_ns``: largest difference between any two
    stamps of the set; ``camera_skew_ns``: between two frames; ``oldest_ns``: the
    oldest stamp; ``age_ns``: its age at selection, negative if ahead of the clock.
    """

    stamp_ns: int
    frames: Mapping[str, Stamped[FrameT]]
    states: Mapping[str, Stamped[StateT]]
    skew_ns: int
    camera_skew_ns: int
    oldest_ns: int
    age_ns: int

    @property
    def state_stamp_ns(self) -> int:
        """The oldest of the joint states chosen [ns]."""
        return min(entry.stamp_ns for entry in self.states.values())
