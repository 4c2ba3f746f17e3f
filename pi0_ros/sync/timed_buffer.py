"""The newest messages of one topic in stamp order, and what is wrong with the topic now."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from pi0_ros.stamps import NS_PER_S

ItemT = TypeVar("ItemT")

_NS_PER_MS = 1_000_000


class Fault(str, Enum):
    """What can be wrong with a stream. Operators see the value."""

    MISSING = "missing"  # nothing has arrived
    STALE = "stale"  # the newest is older than the tolerance
    FROZEN = "frozen"  # the same stamp again
    WENT_BACK = "went_back"  # a stamp older than the one before
    FUTURE = "future"  # a stamp ahead of the clock
    SKEWED = "skewed"  # too far from the rest of the set
    MALFORMED = "malformed"  # wrong encoding, size, joints, or not finite


@dataclass(frozen=True, slots=True)
class SyncRefusal:
    """A message or a set that was not used: the stream at fault and why."""

    stream: str
    fault: Fault
    detail: str

    def __str__(self) -> str:
        return f"{self.stream}: {self.fault.value}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Stamped(Generic[ItemT]):
    """One message's content and its header stamp [ns, ROS clock]."""

    stamp_ns: int
    item: ItemT


class TimedBuffer(Generic[ItemT]):
    """The newest ``history`` items of one topic, in strictly rising stamp order.

    ``max_age_ns`` bounds the age of the newest item. It also bounds how far a stamp may lie ahead
    of the clock, because in simulated time a frame often arrives before the clock message of the
    same instant.
    """

    def __init__(self, name: str, *, history: int, max_age_ns: int) -> None:
        if history < 1:
            raise ValueError(f"history of {name} is {history}; give at least 1")
        self.name = name
        self._max_age_ns = max_age_ns
        self._items: deque[Stamped[ItemT]] = deque(maxlen=history)
        self._last_fault: SyncRefusal | None = None

    @property
    def newest(self) -> Stamped[ItemT] | None:
        """The item with the latest stamp, None before the first."""
        return self._items[-1] if self._items else None

    def clear(self) -> None:
        """Forget every item. Called after a jump of the clock."""
        self._items.clear()
        self._last_fault = None

    def add(self, stamp_ns: int, item: ItemT, now_ns: int) -> SyncRefusal | None:
        """Keep the item, or return why not."""
        if stamp_ns - now_ns > self._max_age_ns:
            ahead_ms = (stamp_ns - now_ns) / _NS_PER_MS
            return self.refuse(
                Fault.FUTURE, f"stamp is {ahead_ms:.1f} ms ahead of the clock; synchronise clocks"
            )
        newest = self.newest
        if newest is not None and newest.stamp_ns - now_ns > self._max_age_ns:
            # The kept items lie in the future, so the clock itself went back.
            self.clear()
            newest = None
        if newest is not None and stamp_ns == newest.stamp_ns:
            return self.refuse(Fault.FROZEN, f"stamp {_seconds(stamp_ns)} again")
        if newest is not None and stamp_ns < newest.stamp_ns:
            return self.refuse(
                Fault.WENT_BACK,
                f"stamp {_seconds(stamp_ns)} after {_seconds(newest.stamp_ns)}",
            )
        self._items.append(Stamped(stamp_ns, item))
        self._last_fault = None
        return None

    def refuse(self, fault: Fault, detail: str) -> SyncRefusal:
        """Remember that the last message could not be used, and return the refusal."""
        self._last_fault = SyncRefusal(self.name, fault, detail)
        return self._last_fault

    def drop_newest(self, fault: Fault, detail: str) -> SyncRefusal:
        """Remove the newest item, which proved unusable after it was accepted."""
        if self._items:
            self._items.pop()
        return self.refuse(fault, detail)

    def problem(self, now_ns: int) -> SyncRefusal | None:
        """Why there is nothing usable at this time, None if there is.

        If bad messages are the reason why the stream is silent, the last of them is named:
        *malformed* or *frozen* says more than *missing* or *stale*.
        """
        newest = self.newest
        if newest is None:
            return self._last_fault or SyncRefusal(self.name, Fault.MISSING, "nothing received yet")
        age_ns = now_ns - newest.stamp_ns
        if age_ns <= self._max_age_ns:
            return None
        if self._last_fault is not None:
            return self._last_fault
        unstamped = "; its stamp is zero, make the driver stamp" if newest.stamp_ns == 0 else ""
        return SyncRefusal(
            self.name,
            Fault.STALE,
            f"newest is {age_ns / _NS_PER_MS:.0f} ms old, at most"
            f" {self._max_age_ns / _NS_PER_MS:.0f} ms allowed{unstamped}",
        )

    def nearest(self, stamp_ns: int) -> Stamped[ItemT] | None:
        """The item whose stamp is nearest, the earlier of two equally near."""
        if not self._items:
            return None
        after = bisect_left(self._items, stamp_ns, key=lambda entry: entry.stamp_ns)
        around = [self._items[i] for i in (after - 1, after) if 0 <= i < len(self._items)]
        return min(around, key=lambda entry: abs(entry.stamp_ns - stamp_ns))


def _seconds(stamp_ns: int) -> str:
    return f"{stamp_ns / NS_PER_S:.3f} s"
