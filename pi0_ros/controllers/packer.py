"""What one controller takes out of the action vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerPacker:
    """One controller's K values of the action vector (A,), in message order.

    ``joints`` are the driver's joint names, or twist axes such as ``linear.x``. ``lower``,
    ``upper`` and ``acceleration`` (K,) are the limits in action units; ``period_s`` is the time
    between two commands; ``options`` are the kind's own settings.
    """

    name: str
    topic: str
    frame_id: str
    dimensions: tuple[str, ...]
    indices: NDArray[np.intp]
    joints: tuple[str, ...]
    scale: FloatArray
    offset: FloatArray
    lower: FloatArray
    upper: FloatArray
    acceleration: FloatArray
    period_s: float
    options: Mapping[str, float]

    def raw(self, action: FloatArray) -> FloatArray:
        """Driver numbers for an action: (..., A) -> (..., K)."""
        return self.raw_of(action[..., self.indices])

    def raw_of(self, values: FloatArray) -> FloatArray:
        """Driver numbers for the controller's own values: (..., K) -> (..., K)."""
        raw: FloatArray = (values - self.offset) / self.scale
        return raw

    def raw_rate_of(self, rates: FloatArray) -> FloatArray:
        """Driver numbers for time derivatives of those values: (..., K) -> (..., K)."""
        raw: FloatArray = rates / self.scale
        return raw

    def value(self, raw: FloatArray) -> FloatArray:
        """Action values for driver numbers, the inverse of :meth:`raw_of`: (..., K) -> (..., K)."""
        values: FloatArray = raw * self.scale + self.offset
        return values

    def rate(self, raw: FloatArray) -> FloatArray:
        """Rates of action values for driver rates: (..., K) -> (..., K)."""
        rates: FloatArray = raw * self.scale
        return rates
