"""Whether the clock runs evenly from tick to tick."""

from __future__ import annotations

from dataclasses import dataclass

from pi0_ros.stamps import S_PER_NS

#: A gap counts only if it is longer than this number of periods, because single ticks are missed.
_LONGEST_GAP = 5.0


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The clock jumped before this tick: back, or forward over a gap without ticks."""

    reason: str
    is_back: bool


class TickClock:
    """Compares the times of successive ticks; ``now_ns`` is the last one, None before the first."""

    def __init__(self, tick_gap_s: float, period_s: float) -> None:
        self._longest_gap_s = max(tick_gap_s, _LONGEST_GAP * period_s)
        self.now_ns: int | None = None

    def advance(self, now_ns: int) -> ClockJump | None:
        """Take the time of a tick; returns the jump since the tick before, if there is one."""
        before_ns, self.now_ns = self.now_ns, now_ns
        if before_ns is None:
            return None
        passed_s = (now_ns - before_ns) * S_PER_NS
        if passed_s < 0.0:
            return ClockJump(f"the clock jumped back by {-passed_s:.3f} s", is_back=True)
        if passed_s > self._longest_gap_s:
            return ClockJump(f"no tick for {passed_s:.2f} s", is_back=False)
        return None
