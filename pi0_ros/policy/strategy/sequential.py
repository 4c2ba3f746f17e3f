"""One chunk after the other, as the paper executes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.strategy.base import InferenceRequest, PlacedChunk, Strategy


class Sequential(Strategy):
    """Executes ``execution_steps`` of a chunk, infers, and executes the new chunk from its row 0.

    The previous chunk continues during the inference.
    """

    name = "sequential"
    description = "one chunk after the other"

    def _steps_between(self) -> int:
        return self._timing.execution_steps

    def _request(self, plain: InferenceRequest, can_continue: bool) -> InferenceRequest:
        return plain

    def _place(
        self, request: InferenceRequest, actions: NDArray[np.float32], now_ns: int
    ) -> PlacedChunk:
        return PlacedChunk(stamp_ns=now_ns, actions=actions)
