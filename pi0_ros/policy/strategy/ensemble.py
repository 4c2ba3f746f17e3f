"""Temporal ensembling: the average of what overlapping chunks say for the same time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.strategy.base import Pace, Placed, Start, Strategy, same_task


class TemporalEnsemble(Strategy):
    """Infers as often as it can and publishes weighted averages (ACT, arXiv 2304.13705).

    Of the chunks that say something for a time, oldest first, number i weighs
    ``exp(-decay * i)``. They are averaged while prompt and checkpoint stay and the robot keeps
    executing them; after a hold, or another prompt in between, the next chunk stands alone.
    """

    name = "temporal_ensemble"

    def __init__(self, pace: Pace, decay: float) -> None:
        super().__init__(pace)
        self._decay = decay
        self._raw: list[tuple[int, NDArray[np.float32]]] = []  # stamp and rows, oldest first

    def restart(self) -> None:
        super().restart()
        self._raw.clear()

    def values(self) -> dict[str, str]:
        return super().values() | {"chunks_averaged": str(len(self._raw))}

    def _steps_between(self) -> int:
        return 0

    def _begin(self, plain: Start, can_continue: bool) -> Start:
        stamps = [ns for ns, _ in self._raw]
        continues = (
            same_task(plain) and plain.during is not None and plain.during.stamp_ns in stamps
        )
        if not continues:
            self._raw.clear()  # even if this one comes to nothing, the instruction was another
        return replace(plain, continues=continues)

    def _place(self, start: Start, actions: NDArray[np.float32], now_ns: int) -> Placed:
        if not start.continues:
            self._raw = [(now_ns, actions)]
            return Placed(stamp_ns=now_ns, actions=actions)
        stamp_ns = self._grid_ns(start)
        length_ns = self._pace.horizon * self._pace.step_ns
        self._raw = [(ns, rows) for ns, rows in self._raw if ns + length_ns > stamp_ns]
        self._raw.append((stamp_ns, actions))
        return Placed(stamp_ns=stamp_ns, actions=self._average(stamp_ns))

    def _average(self, stamp_ns: int) -> NDArray[np.float32]:
        """Rows (H, A) from ``stamp_ns`` on; the last ones only the newest chunk has."""
        horizon = self._pace.horizon
        shape = (horizon, self._raw[-1][1].shape[1])
        total, weights, order = np.zeros(shape), np.zeros(horizon), np.zeros(horizon)
        # Newest first, in units of its weight: the chunk ``order`` places older weighs
        # exp(decay * order) of it, however many cover the row.
        for older_ns, rows in reversed(self._raw):
            offset = (stamp_ns - older_ns) // self._pace.step_ns
            covered = slice(0, horizon - offset)
            weight = np.exp(self._decay * order[covered])
            total[covered] += weight[:, None] * rows[offset:]
            weights[covered] += weight
            order[covered] += 1.0
        return (total / weights[:, None]).astype(np.float32)
