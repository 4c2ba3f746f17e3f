"""chunk_executor with its tick on a timer of a plain rclpy.spin, for comparison.

bench/control.py runs it as a separate process.
"""

from __future__ import annotations

import gc
import time

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.signals import SignalHandlerOptions

from pi0_ros.nodes.chunk_executor import node as chunk_executor
from pi0_ros.nodes.process import autostart


class TimerTicks:
    """Like SteadyTicks, but on a timer, with the deadlines of the timer."""

    node: chunk_executor.ChunkExecutor

    def __init__(self, clock, period_ns, on_tick, prepare) -> None:
        self._clock, self._period_ns, self._on_tick = clock, period_ns, on_tick

    def start(self) -> None:
        gc.unfreeze()
        gc.enable()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.node.create_timer(self._period_ns * 1e-9, self._fire, clock=steady)
        self._next_ns = time.monotonic_ns() + self._period_ns

    def _fire(self) -> None:
        late_ns = time.monotonic_ns() - self._next_ns
        missed = max(0, late_ns // self._period_ns)
        late_ns -= missed * self._period_ns
        self._next_ns += (missed + 1) * self._period_ns
        self._on_tick(self._clock.now().nanoseconds - late_ns, max(late_ns, 0), missed)


def main() -> None:
    """Runs until interrupted."""
    chunk_executor.SteadyTicks = TimerTicks
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    TimerTicks.node = node = chunk_executor.ChunkExecutor()
    if not autostart(node):
        raise SystemExit(node.failure)
    rclpy.spin(node)


if __name__ == "__main__":
    main()
