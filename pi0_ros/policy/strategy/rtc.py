"""Real-time chunking: the next chunk is computed to continue the one being executed."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.options import RtcOptions
from pi0_ros.policy.strategy.base import ChunkTiming, InferenceRequest, PlacedChunk, Strategy
from pi0_ros.policy.strategy.chunk_tracker import ChunkStart, ExecutorProgress
from pi0_ros.policy.types import RemainingActions

#: Remembered delays (the paper's b): how long one slow inference counts.
WINDOW = 10


class RealTimeChunking(Strategy):
    """The loop of real-time chunking (arXiv 2506.07339, algorithm 1).

    An inference begins when s = ``execution_steps`` of the chunk have begun, or earlier if the rows
    after s would not outlast the delay. Row 0 of the new chunk is laid over row s of the old one,
    and the executor changes to the new chunk at the row that is due when it arrives. The inference
    is told a delay d: the longest of the latest measured ones, in steps that the executor consumed.

    A chunk that continues no other starts from row 0 when it is published, so that a robot at rest
    skips no action. Delays are measured only by the executor's count of steps, never by a clock.
    """

    name = "rtc"
    description = "each chunk continues the one being executed"
    Options = RtcOptions
    option_prefix = "rtc_"
    needs_continuation = True

    def __init__(self, timing: ChunkTiming, options: RtcOptions | None = None) -> None:
        super().__init__(timing, options)
        self._delays: deque[int] = deque(maxlen=WINDOW)
        self._used: int | None = None
        self.fallbacks: Counter[str] = Counter()

    @property
    def delay(self) -> int:
        """Steps that an inference is expected to take.

        Before the first measurement it is half of the executed steps: too many held rows cost one
        late reaction, too few cost a jump.
        """
        return max(self._delays, default=self._timing.execution_steps // 2)

    def report(self, progress: ExecutorProgress) -> ChunkStart | None:
        """Also measures the delay of the inference whose chunk was started."""
        start = super().report(progress)
        if start is not None:
            delay = self._measured(start)
            if delay is not None:
                self._delays.append(delay)
        return start

    def values(self) -> dict[str, str]:
        values = {
            "rtc_mode": self._options.mode,
            "delay_used_steps": "none" if self._used is None else str(self._used),
            "delays_measured_steps": " ".join(map(str, self._delays)) or "none",
            "guidance_fallbacks": str(self.fallbacks.total()),
        }
        values |= {f"without guidance: {why}": str(n) for why, n in self.fallbacks.items()}
        return super().values() | values

    def _steps_between(self) -> int:
        return max(1, min(self._timing.execution_steps, self._timing.horizon - 1 - self.delay))

    def _request(self, plain: InferenceRequest, can_continue: bool) -> InferenceRequest:
        self._used = None
        if plain.executing is None:
            return plain
        reason = self._obstacle(plain, can_continue)
        if reason is not None:
            self.fallbacks[reason] += 1
            return plain
        self._used = self.delay
        rows = plain.executing.actions[plain.steps :]
        remaining = RemainingActions(actions=rows, delay=self.delay, options=self._options)
        return replace(plain, continues=True, remaining=remaining)

    def _obstacle(self, plain: InferenceRequest, can_continue: bool) -> str | None:
        """Why the chunk being executed cannot be continued."""
        if not can_continue:
            return "the backend cannot continue a chunk"
        if not plain.is_same_task:
            return "the prompt or the checkpoint changed"
        rows_remaining = self._timing.horizon - plain.steps
        if rows_remaining == 0 or self.delay > rows_remaining:
            return "the delay exceeds the remaining steps of the chunk"
        return None

    def _place(
        self, request: InferenceRequest, actions: NDArray[np.float32], now_ns: int
    ) -> PlacedChunk:
        if not request.continues or request.remaining is None:
            return PlacedChunk(stamp_ns=now_ns, actions=actions)
        stamp_ns, frozen = self._continuation_ns(request), request.remaining.delay
        return PlacedChunk(stamp_ns=stamp_ns, actions=actions, frozen_prefix=frozen)

    def _measured(self, start: ChunkStart) -> int | None:
        """Steps consumed while the chunk was computed; None if there was nothing to count."""
        chunk, previous = start.chunk, start.previous
        is_previous = previous is not None and previous.sequence == chunk.previous
        consumed = start.previous_steps - chunk.previous_steps if is_previous else 0
        if chunk.continues:
            # Between two rows, the previous chunk may have begun one step more than this one.
            return max(start.step, consumed if start.without_hold else 0)
        if previous is None or not is_previous:
            return None
        # The chunk starts at its own row 0: the delay is what was consumed of the previous one.
        if start.without_hold:
            return consumed
        if not self._is_exhausted(start.previous_steps):
            return None
        return self._steps_since(previous.stamp_ns + chunk.previous_steps * self._timing.step_ns)

    def _drop(self, request: InferenceRequest) -> None:
        super()._drop(request)
        self.fallbacks["the executor stopped executing meanwhile"] += 1
        tracker = self._tracker
        if tracker.last is request.executing and self._is_exhausted(tracker.last_steps):
            # A published chunk would have been started at the executor's next tick.
            self._delays.append(self._steps_since(self._continuation_ns(request)) + 1)

    def _steps_since(self, row_ns: int) -> int:
        """Steps from ``row_ns`` to the executor's latest tick; a whole chunk at most."""
        reported_ns = self._tracker.reported_ns or row_ns
        return min((reported_ns - row_ns) // self._timing.step_ns, self._timing.horizon)

    def _is_exhausted(self, steps: int) -> bool:
        """Whether a chunk of which so many steps had begun ended by itself."""
        return steps >= self._timing.horizon - 1
