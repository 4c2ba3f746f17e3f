"""Ticks at absolute deadlines: on the steady clock, or on /clock in simulated time.

Both call ``on_tick(deadline_ns, late_ns, missed)``: the deadline on the ROS clock, how
much later the call is, and how many deadlines before it were skipped. Skipped deadlines
are never made up for.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration

from pi0_ros.stamps import NS_PER_S, S_PER_NS

OnTick = Callable[[int, int, int], None]


class SteadyTicks:
    """A thread of its own that sleeps from deadline to deadline.

    Beside an executor that spins it is later by a tenth of a millisecond, and less
    scattered than a timer or a deadline loop around ``spin_once`` that waits behind
    callbacks (figures: docs/reference/chunk_executor.md).
    """

    def __init__(
        self,
        clock: Clock,
        period_ns: int,
        on_tick: OnTick,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._period_ns = period_ns
        self._on_tick = on_tick
        self._prepare = prepare  # runs in the thread, before the first tick
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticks", daemon=True)

    def start(self) -> None:
        """Begin; the first deadline is one period away."""
        self._thread.start()

    def end(self) -> None:
        """Return when the last tick is over."""
        self._ending.set()
        self._thread.join()

    def run_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Let the thread tick on until ``done()`` or the timeout."""
        deadline_s = time.monotonic() + timeout_s
        while not done() and time.monotonic() < deadline_s:
            time.sleep(self._period_ns * S_PER_NS)

    def _run(self) -> None:
        self._prepare()
        deadline_ns = time.monotonic_ns() + self._period_ns
        missed = 0
        while not self._ending.is_set():
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns > 0:
                time.sleep(left_ns * S_PER_NS)
            late_ns = time.monotonic_ns() - deadline_ns
            self._on_tick(self._clock.now().nanoseconds - late_ns, late_ns, missed)
            deadline_ns += self._period_ns
            missed = max(0, (time.monotonic_ns() - deadline_ns) // self._period_ns)
            deadline_ns += missed * self._period_ns


class ClockTicks:
    """Ticks at the multiples of the period in simulated time, as /clock passes them.

    They run inside the callback that receives /clock: a paused simulation has no ticks,
    and a given sequence of clock messages always gives the same ticks. A clock that
    jumps back begins a new grid with a tick at its new time.
    """

    def __init__(self, clock: Clock, period_ns: int, on_tick: OnTick) -> None:
        self._clock = clock
        self._period_ns = period_ns
        self._on_tick = on_tick
        self._last_ns: int | None = None
        self._handle = None

    def start(self) -> None:
        """Begin with the next change of the clock."""
        self._handle = self._clock.create_jump_callback(
            JumpThreshold(
                min_forward=Duration(nanoseconds=1),
                min_backward=Duration(nanoseconds=-1),
                on_clock_change=True,
            ),
            post_callback=self._on_clock,
        )

    def end(self) -> None:
        """Tick no more."""
        if self._handle is not None:
            self._handle.unregister()
            self._handle = None

    def run_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Tick on without /clock, one period of real time each: its callback waits for us."""
        for _ in range(int(timeout_s * NS_PER_S / self._period_ns)):
            if done():
                return
            self._last_ns = (self._last_ns or 0) + self._period_ns
            self._on_tick(self._last_ns, 0, 0)
            time.sleep(self._period_ns * S_PER_NS)

    def _on_clock(self, _jump: TimeJump) -> None:
        now_ns = self._clock.now().nanoseconds
        late_ns = now_ns % self._period_ns
        deadline_ns = now_ns - late_ns
        last_ns, self._last_ns = self._last_ns, deadline_ns
        if deadline_ns == last_ns:
            return
        forward = last_ns is not None and deadline_ns > last_ns
        missed = (deadline_ns - last_ns) // self._period_ns - 1 if forward else 0
        self._on_tick(deadline_ns, late_ns, missed)


class QuietCollector:
    """Keeps garbage collection off the tick: it runs when asked, in the slack after one."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def collect(self) -> None:
        """Collect now. What lived before is frozen, so little is looked at."""
        gc.collect()

    def end(self) -> None:
        """Hand collection back to the interpreter."""
        gc.unfreeze()
        gc.enable()
