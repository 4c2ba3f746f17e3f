"""Lockstep: simulated time waits for its followers, so that a busy machine misses no tick."""

from __future__ import annotations

import threading

#: After this time without an acknowledgement, time continues without the follower [s].
_TIMEOUT_S = 1.0


class Lockstep:
    """Holds the simulation after a control tick until a follower has acknowledged it.

    The physics thread calls :meth:`wait`; the subscription to the follower calls
    :meth:`acknowledge`. The follower may be ``lag_ns`` behind. :meth:`wait` returns at once
    before the first acknowledgement, while the follower is inactive, and after a timeout until
    the next acknowledgement.
    """

    def __init__(self, period_ns: int, lag_ns: int = 0, timeout_s: float = _TIMEOUT_S) -> None:
        self._period_ns = period_ns
        self._lag_ns = lag_ns
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._acknowledged_ns = 0
        self._active = False
        #: Number of ticks that the follower did not acknowledge in time.
        self.unanswered = 0

    def acknowledge(self, stamp_ns: int, active: bool) -> None:
        """The follower has processed the tick at ``stamp_ns``, or is inactive."""
        with self._changed:
            self._acknowledged_ns, self._active = stamp_ns, active
            self._changed.notify_all()

    def wait(self, now_ns: int) -> None:
        """Return when the control tick at ``now_ns``, if there is one, was acknowledged."""
        if now_ns % self._period_ns:
            return
        needed_ns = now_ns - self._lag_ns
        with self._changed:
            acknowledged = self._changed.wait_for(
                lambda: not self._active or self._acknowledged_ns >= needed_ns, self._timeout_s
            )
            if not acknowledged:
                self.unanswered += 1
                self._active = False
