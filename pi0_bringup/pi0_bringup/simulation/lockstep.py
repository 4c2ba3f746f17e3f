"""Simulated time that waits for the controller, so that no control tick is missed."""

from __future__ import annotations

import threading

#: A controller silent for longer than this is gone, and time goes on without it [s].
_TIMEOUT_S = 1.0


class Lockstep:
    """Holds the simulation after a control tick until the controller has answered it.

    The physics thread calls :meth:`wait`; whoever hears the controller calls :meth:`heard`.
    Nothing waits for a controller that is inactive, was never heard, or did not answer the
    last time it was waited for.
    """

    def __init__(self, period_ns: int, timeout_s: float = _TIMEOUT_S) -> None:
        self._period_ns = period_ns
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._answered_ns = 0
        self._active = False
        #: Ticks that the controller left unanswered.
        self.unanswered = 0

    def heard(self, stamp_ns: int, active: bool) -> None:
        """The controller has done its tick of ``stamp_ns``, or says that it is inactive."""
        with self._changed:
            self._answered_ns, self._active = stamp_ns, active
            self._changed.notify_all()

    def wait(self, now_ns: int) -> None:
        """Return when the tick at ``now_ns``, if there is one, has been answered."""
        if now_ns % self._period_ns:
            return
        with self._changed:
            answered = self._changed.wait_for(
                lambda: not self._active or self._answered_ns >= now_ns, self._timeout_s
            )
            if not answered:
                self.unanswered += 1
                self._active = False
