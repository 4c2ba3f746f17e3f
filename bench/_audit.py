"""Checks a stream of commands against the limits, by finite differences of the commands only."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from pi0_ros.embodiment import LimitArrays

#: Relative excess that is attributed to rounding: the third difference divides by the period cubed.
_TOLERANCE = 1e-6
KINDS = ("position", "velocity", "acceleration", "jerk")


class StreamAudit:
    """Checks commands (A,) tick by tick against every limit.

    Differences are taken between successive ticks only. They restart when a tick was not
    received or the tick counter restarted. ``period_s`` is the nominal period, by which
    the executor advances in every tick.

    ``violations`` counts by kind and dimension, ``worst`` (4, A) is the largest share of
    each limit that was used; for a position, the share of half its range from the middle.
    ``ticks`` counts the checked ticks, ``missing`` those that were not received.
    """

    def __init__(self, limits: LimitArrays, period_s: float) -> None:
        self._limits = limits
        self._period_s = period_s
        self._bounds = (limits.velocity, limits.acceleration, limits.jerk)
        self._middle = 0.5 * (limits.lower + limits.upper)
        self._half = 0.5 * (limits.upper - limits.lower)
        self._last: list[NDArray[np.float64]] = []  # command and its differences
        self._tick: int | None = None
        self.violations: Counter[tuple[str, int]] = Counter()
        self.worst: NDArray[np.float64] = np.zeros((4, len(limits.lower)))
        self.ticks = 0
        self.missing = 0

    def add(self, tick: int, command: NDArray[np.float64]) -> None:
        """Add the command of a tick; NaN if nothing has been commanded yet."""
        before, self._tick = self._tick, tick
        if before == tick:
            return
        if before is None or tick != before + 1:
            self.missing += tick - before - 1 if before is not None and tick > before else 0
            self._last = []
        if not np.isfinite(command).all():
            self._last = []
            return
        self.ticks += 1
        self._check_position(command)
        differences = [command]
        for order, earlier in enumerate(self._last[:3]):
            rate = (differences[order] - earlier) / self._period_s
            differences.append(rate)
            self._note(order + 1, np.abs(rate) / self._bounds[order])
        self._last = differences

    def start_over(self) -> None:
        """Discard the motion so far, as after a restart of the executor."""
        self._last = []

    def _check_position(self, command: NDArray[np.float64]) -> None:
        """Outside its range, a dimension may only move back towards it."""
        share = np.abs(command - self._middle) / self._half
        if self._last:
            returning = share <= np.abs(self._last[0] - self._middle) / self._half
            share = np.where(returning & (share > 1.0), 1.0, share)
        else:
            share = np.minimum(share, 1.0)  # the pose in which the robot was found
        self._note(0, share)

    def _note(self, kind: int, share: NDArray[np.float64]) -> None:
        np.maximum(self.worst[kind], share, out=self.worst[kind])
        for dimension in np.flatnonzero(share > 1.0 + _TOLERANCE):
            self.violations[KINDS[kind], int(dimension)] += 1
