"""The lateness of ticks over the last seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class LatenessSummary:
    """Lateness against the deadline [ms]; zero before the first tick."""

    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Lateness:
    """A ring buffer of the latest tick latenesses, and the number of missed ticks."""

    def __init__(self, rate_hz: float, window_s: float = 10.0) -> None:
        self._late_ns = np.zeros(max(1, math.ceil(rate_hz * window_s)), dtype=np.int64)
        self._count = 0
        self.missed = 0

    def record(self, late_ns: int, missed: int = 0) -> None:
        """Record one tick: its lateness [ns], and the number of deadlines missed before it."""
        self._late_ns[self._count % len(self._late_ns)] = late_ns
        self._count += 1
        self.missed += missed

    def summary(self) -> LatenessSummary:
        """Median, 99th percentile and maximum of the window."""
        if self._count == 0:
            return LatenessSummary()
        known = self._late_ns[: min(self._count, len(self._late_ns))] * 1e-6
        p50, p99, worst = np.percentile(known, (50, 99, 100))
        return LatenessSummary(float(p50), float(p99), float(worst))
