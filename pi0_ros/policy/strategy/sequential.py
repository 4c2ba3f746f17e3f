"""One chunk after the other, as the paper executes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.strategy.base import Placed, Start, Strategy


class Sequential(Strategy):
    """Let ``execution_steps`` of a chunk begin, infer, execute what comes from its row 0.

    The chunk before goes on during the inference.
    """

    name = "sequential"

    def _steps_between(self) -> int:
        return self._pace.execution_steps

    def _begin(self, plain: Start, can_continue: bool) -> Start:
        return plain

    def _place(self, start: Start, actions: NDArray[np.float32], now_ns: int) -> Placed:
        return Placed(stamp_ns=now_ns, actions=actions)
