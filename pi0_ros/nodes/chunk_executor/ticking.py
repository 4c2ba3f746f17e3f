"""Ticks at absolute deadlines: on the steady clock, or on /clock in simulated time.

Both call ``on_tick(deadline_ns, late_ns, missed)`` with the deadline on the ROS clock, the lateness
of the call, and the number of deadlines skipped before it. Skipped deadlines are never caught up.
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
    """Ticks in a thread that sleeps from deadline to deadline.

    Beside a spinning executor the thread is a tenth of a millisecond late. Its lateness varies less
    than that of a timer or of a loop around ``spin_once``, which both wait for callbacks (figures:
    docs/reference/chunk_executor.md).
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
        """Start the thread; the first deadline is one period later."""
        self._thread.start()

    def end(self) -> None:
        """Stop the thread and wait for its last tick."""
        self._ending.set()
        self._thread.join()

    def run_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Let the thread tick until ``done()`` or the timeout."""
        deadline_s = time.monotonic() + timeout_s
        while not done() and time.monotonic() < deadline_s:
            time.sleep(self._period_ns * S_PER_NS)

    def _run(self) -> None:
        self._prepare()
        deadline_ns = time.monotonic_ns() + self._period_ns
        missed = 0
        while not self._ending.is_set():
            early_ns = deadline_ns - time.monotonic_ns()
            if early_ns > 0:
                time.sleep(early_ns * S_PER_NS)
            late_ns = time.monotonic_ns() - deadline_ns
            self._on_tick(self._clock.now().nanoseconds - late_ns, late_ns, missed)
            deadline_ns += self._period_ns
            missed = max(0, (time.monotonic_ns() - deadline_ns) // self._period_ns)
            deadline_ns += missed * self._period_ns


class ClockTicks:
    """Ticks in simulated time, when /clock passes a multiple of the period.

    The ticks run inside the callback that receives /clock. So a paused simulation has no ticks, and
    the same clock messages always give the same ticks. After a jump back, the first tick is at the
    new time.
    """

    def __init__(self, clock: Clock, period_ns: int, on_tick: OnTick) -> None:
        self._clock = clock
        self._period_ns = period_ns
        self._on_tick = on_tick
        self._last_ns: int | None = None
        self._handle = None

    def start(self) -> None:
        """Tick from the next change of the clock on."""
        self._handle = self._clock.create_jump_callback(
            JumpThreshold(
                min_forward=Duration(nanoseconds=1),
                min_backward=Duration(nanoseconds=-1),
                on_clock_change=True,
            ),
            post_callback=self._on_clock,
        )

    def end(self) -> None:
        """Stop ticking."""
        if self._handle is not None:
            self._handle.unregister()
            self._handle = None

    def run_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Tick without /clock, whose callback is blocked here, once per period of real time."""
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
    """Replaces automatic garbage collection by collection on request, after a tick."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def collect(self) -> None:
        """Collect now. Older objects are frozen, so few objects are scanned."""
        gc.collect()

    def end(self) -> None:
        """Turn automatic collection on again."""
        gc.unfreeze()
        gc.enable()
