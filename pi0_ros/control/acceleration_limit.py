"""Limits of position, velocity and acceleration, exact in discrete time.

Each tick picks one velocity v_k that all three limits allow, now and in future. Let
x = v / (a dt) and n = floor(x). Braking from v, this tick included, covers the distance, in
units of a dt^2,

    D(x) = x + (x - 1) + ... + (x - n) = (n + 1) x - n (n + 1) / 2

The fastest velocity that can still stop within a distance is the inverse of D. Because
D(x) - x = D(x - 1), a stream that obeyed this bound in the last tick can always obey it in the
next tick by braking. So the allowed interval is never empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import LimitArrays

BoolArray = NDArray[np.bool_]

#: A smaller relative change of a velocity is rounding and does not count as a hit.
_HIT_TOLERANCE = 1e-6


def stopping_speed(distance: FloatArray) -> FloatArray:
    """Inverse of D: fastest x that stops within ``distance`` (>= 0), in units of a dt^2."""
    n = np.floor(0.5 * (np.sqrt(1.0 + 8.0 * distance) - 1.0))
    ticks = n + 1.0
    speed: FloatArray = (distance + 0.5 * n * ticks) / ticks
    return speed


class AccelerationLimiter:
    """Commanded position, velocity and acceleration of A dimensions, advanced tick by tick.

    Velocity and acceleration are means over the period of the last tick.
    """

    def __init__(
        self,
        limits: LimitArrays,
        period_s: float,
        position: FloatArray,
        velocity: FloatArray,
    ) -> None:
        self._limits = limits
        self._slowest = -limits.velocity
        self._period_s = period_s
        self._dv = limits.acceleration * period_s
        self._unit = self._dv * period_s
        self._distances = np.empty((3, len(position)))
        self.position: FloatArray = np.array(position, dtype=np.float64)
        self.velocity: FloatArray = np.array(velocity, dtype=np.float64)
        self.acceleration: FloatArray = np.zeros(len(position))

    @property
    def motion(self) -> FloatArray:
        """Position, velocity and acceleration (3, A) at the time of the last tick.

        The velocity of a tick is the mean over its period. At the end of the tick, the velocity
        differs from the mean by half a period of acceleration.
        """
        return np.stack((self.position, self.slope, self.acceleration))

    @property
    def slope(self) -> FloatArray:
        """Velocity (A,) at the time of the last tick."""
        at_tick: FloatArray = self.velocity + (0.5 * self._period_s) * self.acceleration
        return at_tick

    def track(
        self, target: FloatArray, rate: FloatArray, _acceleration: FloatArray
    ) -> BoolArray | None:
        """Advance towards a target; returns which limits applied (4, A), or None."""
        limit, dt = self._limits.velocity, self._period_s
        pace = np.minimum(np.maximum(rate, self._slowest), limit)
        behind = target - pace * dt - self.position
        speed, up, down = self._speeds(np.abs(behind))
        wanted = pace + np.copysign(speed, behind)
        velocity = self._allowed(wanted, up, down)
        met = (velocity == wanted).all()
        bound = None if met else self._bound(wanted, velocity, up, down)
        self._move(velocity)
        return bound

    def brake(self, to_zero: BoolArray) -> None:
        """Advance one tick of the stop: to standstill, or to the value 0 where ``to_zero``."""
        distance = np.abs(self.position)
        speed, up, down = self._speeds(distance)
        wanted = np.where(to_zero, np.copysign(speed, -self.position), 0.0)
        self._move(self._allowed(wanted, up, down))
        arrived = to_zero & (np.abs(self.position) < 1e-12) & (np.abs(self.velocity) <= self._dv)
        self.position[arrived] = 0.0

    def _speeds(self, distance: FloatArray) -> FloatArray:
        """Stopping speeds (3, A) [unit/s] for ``distance`` and the distances to both bounds."""
        self._distances[0] = distance
        np.subtract(self._limits.upper, self.position, out=self._distances[1])
        np.subtract(self.position, self._limits.lower, out=self._distances[2])
        room = np.maximum(self._distances, 0.0) / self._unit
        speeds: FloatArray = stopping_speed(room) * self._dv
        return speeds

    def _allowed(self, wanted: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
        limit = self._limits.velocity
        low = np.maximum(np.maximum(self.velocity - self._dv, self._slowest), -down)
        high = np.minimum(np.minimum(self.velocity + self._dv, limit), up)
        velocity: FloatArray = np.minimum(np.maximum(wanted, low), high)
        return velocity

    def _move(self, velocity: FloatArray) -> None:
        self.position = self.position + velocity * self._period_s
        self.acceleration = (velocity - self.velocity) / self._period_s
        self.velocity = velocity

    def _bound(
        self, wanted: FloatArray, velocity: FloatArray, up: FloatArray, down: FloatArray
    ) -> BoolArray:
        """Which limit applied in each dimension whose wanted velocity was reduced, (4, A)."""
        limit = self._limits.velocity
        slack = _HIT_TOLERANCE * self._dv
        cut = np.abs(velocity - wanted) > slack
        at_speed = np.abs(velocity) >= limit - slack
        at_bound = (velocity >= up - slack) | (velocity <= slack - down)
        at_change = np.abs(velocity - self.velocity) >= self._dv - slack
        by_change = at_change & ~at_speed & ~at_bound
        return cut & np.stack((at_bound, at_speed, by_change, np.zeros_like(cut)))
