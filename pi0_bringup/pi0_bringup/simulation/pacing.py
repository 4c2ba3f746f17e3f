"""The pace of simulated time on the steady clock, and events at a rate in simulated time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction

from pi0_ros.stamps import S_PER_NS

#: A larger delay is not made up: the pace restarts from the present time.
_MAX_DEBT_NS = 100_000_000
#: Simulated time over which the achieved factor is measured.
_WINDOW_NS = 2_000_000_000


class Cadence:
    """Events at ``rate_hz`` on the grid of a clock that ticks at ``clock_hz``.

    Each event is due at the first tick at or after its time. The mean rate is therefore exact:
    30 Hz on a 100 Hz clock has periods of 30, 30 and 40 ms.
    """

    def __init__(self, rate_hz: float, clock_hz: float) -> None:
        self._per_tick = Fraction(rate_hz).limit_denominator(1000) / Fraction(
            clock_hz
        ).limit_denominator(1000)

    def due(self, tick: int) -> bool:
        """Whether an event is due at this tick."""
        return int(tick * self._per_tick) != int((tick - 1) * self._per_tick)


class Pacer:
    """Holds simulated time to ``factor`` times the steady clock; factor 0 does not wait.

    Deadlines are absolute, so that lateness does not add up. Lateness is made up at no more than
    twice the pace, because messages of a faster /clock would overwrite each other in the queues
    of their readers. A delay of more than 100 ms is not made up: simulated time then runs
    slower, and no tick is skipped.
    """

    def __init__(
        self,
        factor: float,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._factor = factor
        self._now_ns = now_ns
        self._sleep = sleep
        self._origin: tuple[int, int] | None = None
        self._history: deque[tuple[int, int]] = deque()

    def restart(self) -> None:
        """Measure from the present time on, after a pause."""
        self._origin = None
        self._history.clear()

    def wait_for(self, sim_ns: int) -> None:
        """Return when this simulated time is due."""
        now_ns = self._now_ns()
        if self._origin is None:
            self._origin = (now_ns, sim_ns)
        if self._factor > 0.0:
            deadline_ns = self._origin[0] + (sim_ns - self._origin[1]) / self._factor
            if now_ns - deadline_ns > _MAX_DEBT_NS:
                self._origin = (now_ns, sim_ns)
            if self._history:
                released_ns, released_sim = self._history[-1]
                at_twice_ns = released_ns + (sim_ns - released_sim) / (2.0 * self._factor)
                deadline_ns = max(deadline_ns, at_twice_ns)
            if deadline_ns > now_ns:
                self._sleep((deadline_ns - now_ns) * S_PER_NS)
        self._history.append((self._now_ns(), sim_ns))
        while sim_ns - self._history[0][1] > _WINDOW_NS:
            self._history.popleft()

    @property
    def achieved(self) -> float:
        """Real-time factor of the last two simulated seconds; 0 before the second tick."""
        if len(self._history) < 2:
            return 0.0
        (begin_ns, begin_sim), (end_ns, end_sim) = self._history[0], self._history[-1]
        return (end_sim - begin_sim) / max(end_ns - begin_ns, 1)
