"""Times in nanoseconds: how the suite counts them, and how messages carry them.

A time is an ``int`` of nanoseconds on the ROS clock, a duration inside a computation a ``float``
of seconds. Messages are taken by shape, so that rooms without ROS can read those of a bag.
"""

from __future__ import annotations

from typing import Protocol

NS_PER_S = 1_000_000_000
S_PER_NS = 1e-9


class Stamp(Protocol):
    """builtin_interfaces/Time or builtin_interfaces/Duration."""

    sec: int
    nanosec: int


def nanoseconds(stamp: Stamp) -> int:
    """A message's time or duration as one number [ns]."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def sec_nanosec(time_ns: int) -> tuple[int, int]:
    """The two fields of a message's time or duration, from one number [ns]."""
    return divmod(time_ns, NS_PER_S)
