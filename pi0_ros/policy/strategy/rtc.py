"""Real-time chunking: the next chunk is computed to continue the one being executed."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.strategy.base import Pace, Placed, Start, Strategy, same_task
from pi0_ros.policy.strategy.follower import Progress, Uptake
from pi0_ros.policy.types import Leftover, RtcOptions

#: Delays remembered (the paper's b): how long one slow inference counts.
WINDOW = 10


class RealTimeChunking(Strategy):
    """The loop of real-time chunking (arXiv 2506.07339, algorithm 1).

    An inference begins when s = ``execution_steps`` of the chunk have begun, or earlier if the
    rows behind s would not outlast the delay. Its chunk is laid over the old one from row s on,
    and takes over at the row that is due when it arrives. The delay d it is told is the
    longest of the latest that were measured, in steps the executor consumed. Whatever
    continues nothing starts from row 0 when it is published, so that a robot at rest skips no
    action, and is not measured: no clock but the executor's count enters a delay.
    """

    name = "rtc"

    def __init__(self, pace: Pace, options: RtcOptions) -> None:
        super().__init__(pace)
        self._options = options
        self._delays: deque[int] = deque(maxlen=WINDOW)
        self._used: int | None = None
        self.fallbacks: Counter[str] = Counter()

    @property
    def delay(self) -> int:
        """Steps an inference is expected to take.

        Until one was measured, half of what is executed of a chunk: to hold rows that did
        not need it costs a late reaction once, to hold too few costs a jump.
        """
        return max(self._delays, default=self._pace.execution_steps // 2)

    def report(self, progress: Progress) -> Uptake | None:
        """Also measures how long the inference of a chunk taken up took."""
        uptake = super().report(progress)
        if uptake is not None:
            delay = self._measured(uptake)
            if delay is not None:
                self._delays.append(delay)
        return uptake

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
        return max(1, min(self._pace.execution_steps, self._pace.horizon - 1 - self.delay))

    def _begin(self, plain: Start, can_continue: bool) -> Start:
        self._used = None
        if plain.during is None:
            return plain
        reason = self._obstacle(plain, can_continue)
        if reason is not None:
            self.fallbacks[reason] += 1
            return plain
        self._used = self.delay
        leftover = Leftover(
            actions=plain.during.actions[plain.steps :], delay=self.delay, options=self._options
        )
        return replace(plain, continues=True, leftover=leftover)

    def _obstacle(self, plain: Start, can_continue: bool) -> str | None:
        """Why the chunk being executed cannot be continued."""
        if not can_continue:
            return "the backend cannot continue a chunk"
        if not same_task(plain):
            return "the prompt or the checkpoint changed"
        left = self._pace.horizon - plain.steps
        if left == 0 or self.delay > left:
            return "the delay exceeds what is left of the chunk"
        return None

    def _place(self, start: Start, actions: NDArray[np.float32], now_ns: int) -> Placed:
        if not start.continues or start.leftover is None:
            return Placed(stamp_ns=now_ns, actions=actions)
        return Placed(
            stamp_ns=self._grid_ns(start), actions=actions, frozen_prefix=start.leftover.delay
        )

    def _measured(self, uptake: Uptake) -> int | None:
        """Steps consumed while the chunk was computed; None where there was nothing to count."""
        sent, left = uptake.sent, uptake.left
        followed = left is not None and left.sequence == sent.follows
        consumed = uptake.left_steps - sent.follows_steps if followed else 0
        if sent.continues:
            # Between two rows, the old chunk may have begun one more than the new one passed.
            return max(uptake.step, consumed if uptake.directly else 0)
        if left is None or not followed:
            return None
        # It begins at its own row 0: the delay is what of the old one went on meanwhile.
        if uptake.directly:
            return consumed
        if not self._is_exhausted(uptake.left_steps):
            return None
        return self._steps_since(left.stamp_ns + sent.follows_steps * self._pace.step_ns)

    def _drop(self, start: Start) -> None:
        super()._drop(start)
        self.fallbacks["the executor stopped executing meanwhile"] += 1
        follower = self._follower
        if follower.last is start.during and self._is_exhausted(follower.last_steps):
            # Published, it would have been taken up at the executor's next tick.
            self._delays.append(self._steps_since(self._grid_ns(start)) + 1)

    def _steps_since(self, grid_ns: int) -> int:
        """Steps up to the executor's latest tick; a whole chunk at most."""
        reported_ns = self._follower.reported_ns or grid_ns
        return min((reported_ns - grid_ns) // self._pace.step_ns, self._pace.horizon)

    def _is_exhausted(self, steps: int) -> bool:
        """Whether a chunk of which so many steps had begun ended by itself."""
        return steps >= self._pace.horizon - 1
