"""Joints that follow their setpoints with a first-order lag."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pi0_ros.embodiment import LimitArrays


class LaggedAxes:
    """A axes; each moves towards its setpoint as ``(setpoint - position) / tau``.

    The setpoint is bounded by the position limits and the speed by the velocity
    limits. For a base velocity the axis is itself a velocity, so the same limits
    bound speed and acceleration. Raises ValueError if ``tau`` is negative.
    """

    def __init__(
        self, limits: LimitArrays, start: NDArray[np.float64], time_constant_s: float
    ) -> None:
        if not time_constant_s >= 0.0:
            raise ValueError(f"time_constant_s is {time_constant_s}; give 0 or more")
        self._limits = limits
        self._time_constant_s = time_constant_s
        self.position = start.astype(np.float64)
        self.velocity = np.zeros_like(self.position)

    def reset(self, position: NDArray[np.float64]) -> None:
        """Stand still at this position, shape (A,)."""
        self.position = position.astype(np.float64)
        self.velocity = np.zeros_like(self.position)

    def advance(self, setpoint: NDArray[np.float64], duration_s: float) -> None:
        """Move for a while towards a setpoint of shape (A,).

        Exact for a constant setpoint as long as the velocity limit does not bind.
        """
        if duration_s <= 0.0:
            return
        bounded = np.clip(setpoint, self._limits.lower, self._limits.upper)
        fraction = 1.0
        if self._time_constant_s > 0.0:
            fraction = -np.expm1(-duration_s / self._time_constant_s)
        step = fraction * (bounded - self.position)
        reach = self._limits.velocity * duration_s
        step = np.clip(step, -reach, reach)
        self.position = self.position + step
        self.velocity = step / duration_s
