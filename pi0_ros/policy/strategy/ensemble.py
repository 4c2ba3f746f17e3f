"""Temporal ensembling: the average of overlapping chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.strategy.base import ChunkTiming, InferenceRequest, PlacedChunk, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleOptions:
    """``decay``: chunk number i, oldest first, has the weight ``exp(-decay * i)``."""

    decay: float = field(
        default=0.01,
        metadata={"description": "how fast the weights fall from old to new chunks; 0: an average"},
    )

    def __post_init__(self) -> None:
        if not (math.isfinite(self.decay) and self.decay >= 0.0):
            raise PolicyError(f"ensemble_decay is {self.decay}; give 0 (a plain average) or more")


class TemporalEnsemble(Strategy):
    """Infers as often as it can and publishes weighted averages (ACT, arXiv 2304.13705).

    Chunks are averaged while prompt and checkpoint stay the same and the robot keeps executing
    them. After a hold, or after another prompt in between, the next chunk stands alone.
    """

    name = "temporal_ensemble"
    description = "weighted averages of overlapping chunks"
    Options = EnsembleOptions
    option_prefix = "ensemble_"

    def __init__(self, timing: ChunkTiming, options: EnsembleOptions | None = None) -> None:
        super().__init__(timing, options)
        self._raw: list[tuple[int, NDArray[np.float32]]] = []  # stamp and rows, oldest first

    def restart(self) -> None:
        super().restart()
        self._raw.clear()

    def values(self) -> dict[str, str]:
        return super().values() | {"chunks_averaged": str(len(self._raw))}

    def _steps_between(self) -> int:
        return 0

    def _request(self, plain: InferenceRequest, can_continue: bool) -> InferenceRequest:
        stamps = [ns for ns, _ in self._raw]
        executing = plain.executing
        continues = plain.is_same_task and executing is not None and executing.stamp_ns in stamps
        if not continues:
            # The instruction was another one in between, even if this inference comes to nothing.
            self._raw.clear()
        return replace(plain, continues=continues)

    def _place(
        self, request: InferenceRequest, actions: NDArray[np.float32], now_ns: int
    ) -> PlacedChunk:
        if not request.continues:
            self._raw = [(now_ns, actions)]
            return PlacedChunk(stamp_ns=now_ns, actions=actions)
        stamp_ns = self._continuation_ns(request)
        length_ns = self._timing.horizon * self._timing.step_ns
        self._raw = [(ns, rows) for ns, rows in self._raw if ns + length_ns > stamp_ns]
        self._raw.append((stamp_ns, actions))
        return PlacedChunk(stamp_ns=stamp_ns, actions=self._average(stamp_ns))

    def _average(self, stamp_ns: int) -> NDArray[np.float32]:
        """Averaged rows (H, A) from ``stamp_ns`` on; only the newest chunk has the last ones."""
        horizon = self._timing.horizon
        shape = (horizon, self._raw[-1][1].shape[1])
        total, weights, order = np.zeros(shape), np.zeros(horizon), np.zeros(horizon)
        # The newest chunk comes first and has weight 1. A chunk that is ``order`` places older
        # weighs exp(decay * order), whatever the number of chunks that cover the row.
        for older_ns, rows in reversed(self._raw):
            offset = (stamp_ns - older_ns) // self._timing.step_ns
            covered = slice(0, horizon - offset)
            weight = np.exp(self._options.decay * order[covered])
            total[covered] += weight[:, None] * rows[offset:]
            weights[covered] += weight
            order[covered] += 1.0
        return (total / weights[:, None]).astype(np.float32)
