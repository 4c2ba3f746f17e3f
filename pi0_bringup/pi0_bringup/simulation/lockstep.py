"""Simulated time that waits for those who follow it, so that a busy machine changes nothing."""

from __future__ import annotations

import threading

#: Who is silent for longer than this is gone, and time goes on without it [s].
_TIMEOUT_S = 1.0


class Lockstep:
    """Holds the simulation after a control tick until a follower has come as far.

    The physics thread calls :meth:`wait`; whoever hears the follower calls :meth:`acknowledge`. It
    may be ``lag_ns`` behind. Nothing waits for one that is inactive, was never heard, or did
    not answer the last time it was waited for.
    """

    def __init__(self, period_ns: int, lag_ns: int = 0, timeout_s: float = _TIMEOUT_S) -> None:
        self._period_ns = period_ns
        self._lag_ns = lag_ns
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._answered_ns = 0
        self._active = False
        #: Ticks that the follower left unanswered.
        self.unanswered = 0

    def acknowledge(self, stamp_ns: int, active: bool) -> None:
        """The follower has come to ``stamp_ns``, or says that it is inactive."""
        with self._changed:
            self._answered_ns, self._active = stamp_ns, active
            self._changed.notify_all()

    def wait(self, now_ns: int) -> None:
        """Return when the tick at ``now_ns``, if there is one, has been answered."""
        if now_ns % self._period_ns:
            return
        wanted_ns = now_ns - self._lag_ns
        with self._changed:
            answered = self._changed.wait_for(
                lambda: not self._active or self._answered_ns >= wanted_ns, self._timeout_s
            )
            if not answered:
                self.unanswered += 1
                self._active = False
