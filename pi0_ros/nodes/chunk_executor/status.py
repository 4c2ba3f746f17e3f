"""The status message that chunk_executor publishes in every tick."""

from __future__ import annotations

import time
from array import array
from collections import deque

import numpy as np
from numpy.typing import NDArray

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.control import Executor, ExecutorState, Lateness, LatenessSummary, Tick
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import sec_nanosec

#: Seconds over which lateness and processor time are reported.
WINDOW_S = 10.0


class StatusWriter:
    """Fills one ExecutorStatus that is reused: publish it before the next fill."""

    def __init__(self, embodiment: Embodiment) -> None:
        self.lateness = Lateness(embodiment.rates.control_hz, WINDOW_S)
        self.summary = LatenessSummary()
        self._cpu: deque[tuple[float, float]] = deque()
        self._hits = b""  # as last written to the message
        self.message = ExecutorStatus(
            embodiment=embodiment.name, action_names=list(embodiment.action_names)
        )
        self.summarise()

    def fill(self, tick: Tick, executor: Executor) -> ExecutorStatus:
        """The status after a tick."""
        message = self.message
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = sec_nanosec(tick.now_ns)
        message.state = int(tick.state)
        message.reason = tick.reason
        message.source_id = tick.source_id
        message.command = array("d", tick.command.tobytes())
        message.command_velocity = array("d", tick.velocity.tobytes())
        if tick.chunk is not None:
            message.chunk_sequence = tick.chunk.sequence
            message.checkpoint_id = tick.chunk.checkpoint_id
            message.chunk_horizon = tick.chunk.horizon
        message.chunk_step = tick.step
        message.steps_consumed = tick.steps_consumed
        message.ticks = executor.ticks
        message.missed_ticks = self.lateness.missed
        message.chunks_accepted = executor.chunk_admission.accepted
        message.chunks_executed = executor.chunks_executed
        message.chunks_refused = executor.chunk_admission.refused.total()
        message.underruns = executor.underruns
        message.last_refusal = executor.last_refusal
        if executor.commanded is not None:
            message.vetoed_ticks = executor.commanded.vetoed_ticks
        self._fill_hits(executor.hits)
        return message

    def fill_inactive(self, reason: str) -> ExecutorStatus:
        """The last status of an activation; it keeps its counters."""
        self.message.state = int(ExecutorState.INACTIVE)
        self.message.reason = reason
        return self.message

    def summarise(self) -> None:
        """Update lateness and processor share; takes 0.2 ms, so call it once a second."""
        now = (time.monotonic(), time.process_time())
        self._cpu.append(now)
        while now[0] - self._cpu[0][0] > WINDOW_S:
            self._cpu.popleft()
        elapsed_s = now[0] - self._cpu[0][0]
        self.summary = self.lateness.summary()
        message, summary = self.message, self.summary
        message.cpu_share = (now[1] - self._cpu[0][1]) / elapsed_s if elapsed_s > 0.0 else 0.0
        message.lateness_p50_ms = summary.p50_ms
        message.lateness_p99_ms = summary.p99_ms
        message.lateness_max_ms = summary.max_ms

    def _fill_hits(self, hits: NDArray[np.uint64]) -> None:
        data = hits.tobytes()
        if data == self._hits:
            return
        self._hits = data
        self.message.position_limit_hits = array("Q", hits[0].tobytes())
        self.message.velocity_limit_hits = array("Q", hits[1].tobytes())
        self.message.acceleration_limit_hits = array("Q", hits[2].tobytes())
        self.message.jerk_limit_hits = array("Q", hits[3].tobytes())
