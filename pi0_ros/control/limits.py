"""Position, velocity and acceleration limits of the emitted stream, in discrete time.

Positions p_k are emitted once per period dt. The velocity of a tick is
v_k = (p_k - p_{k-1}) / dt and its acceleration (v_k - v_{k-1}) / dt, both against what
was *commanded* before, never against what was measured. Each tick picks one v_k that
all three limits allow, now and in future.

Braking from v with a per tick covers, the tick itself included and counted in units of
a dt^2, with x = v / (a dt) and n = floor(x):

    D(x) = x + (x - 1) + ... + (x - n) = (n + 1) x - n (n + 1) / 2

so the fastest velocity that can still stop within a distance is the inverse of D.
Because D(x) - x = D(x - 1), a stream that obeyed this bound last tick can always obey
it again by braking: the allowed interval is never empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pi0_ros.embodiment import LimitArrays

FloatArray = NDArray[np.float64]

#: A target this far outside its bounds counts as inside [unit]: chunks are float32.
_POSITION_TOLERANCE = 1e-6
#: Relative change of a velocity that is rounding and no hit.
_HIT_TOLERANCE = 1e-6

POSITION, VELOCITY, ACCELERATION, JERK = range(4)


def stopping_speed(distance: FloatArray) -> FloatArray:
    """Inverse of D: fastest x that stops within ``distance`` (>= 0), in units of a dt^2."""
    n = np.floor(0.5 * (np.sqrt(1.0 + 8.0 * distance) - 1.0))
    speed: FloatArray = (distance + 0.5 * n * (n + 1.0)) / (n + 1.0)
    return speed


class Limiter:
    """The commanded position and velocity of A dimensions, moved one tick at a time.

    ``period_s`` is the nominal tick period. A tick that was missed is not made up
    for: the next one advances by one nominal period, which is slower in real time
    and so within the limits too.

    A start outside the position bounds may move back in and never further out.
    """

    def __init__(self, limits: LimitArrays, period_s: float, position: FloatArray) -> None:
        self._limits = limits
        self._period_s = period_s
        self._dv = limits.acceleration * period_s
        self._unit = self._dv * period_s
        self._distances = np.empty((3, len(position)))
        self.position: FloatArray = np.array(position, dtype=np.float64)
        self.velocity: FloatArray = np.zeros(len(position))
        self.acceleration: FloatArray = np.zeros(len(position))
        #: Ticks in which a dimension was limited, (4, A): position, velocity, acceleration, jerk.
        self.hits: NDArray[np.uint64] = np.zeros((4, len(position)), dtype=np.uint64)

    @property
    def motion(self) -> FloatArray:
        """Position, velocity and acceleration (3, A) at the time of the last tick.

        The velocity of a tick is the mean over its period; the last tick's own is half a
        period of acceleration further.
        """
        at_tick = self.velocity + (0.5 * self._period_s) * self.acceleration
        return np.stack((self.position, at_tick, self.acceleration))

    def track(
        self, target: FloatArray, rate: FloatArray, _acceleration: FloatArray | None = None
    ) -> None:
        """Advance towards a target (A,) that moves at ``rate`` (A,) and is due this tick.

        A reference within the limits is met exactly; one that is not is approached
        as fast as allowed, braking so that a target at rest is not overshot.
        """
        limits, dt = self._limits, self._period_s
        aim = np.minimum(np.maximum(target, limits.lower), limits.upper)
        clipped = np.abs(aim - target) > _POSITION_TOLERANCE
        pace = np.minimum(np.maximum(rate, -limits.velocity), limits.velocity)
        if clipped.any():
            pace = np.where(clipped, 0.0, pace)
        behind = aim - pace * dt - self.position
        speed, up, down = self._speeds(np.abs(behind))
        wanted = pace + np.copysign(speed, behind)
        velocity = self._allowed(wanted, up, down)
        if clipped.any() or not np.array_equal(velocity, wanted):
            self._count(wanted, velocity, clipped, up, down)
        self._move(velocity)

    def brake(self, to_zero: NDArray[np.bool_]) -> None:
        """Advance one tick of the stop: to standstill, or to value 0 where ``to_zero``."""
        distance = np.abs(self.position)
        speed, up, down = self._speeds(distance)
        wanted = np.where(to_zero, np.copysign(speed, -self.position), 0.0)
        self._move(self._allowed(wanted, up, down))
        arrived = to_zero & (np.abs(self.position) < 1e-12) & (np.abs(self.velocity) <= self._dv)
        self.position[arrived] = 0.0

    def is_still(self, to_zero: NDArray[np.bool_]) -> bool:
        """Whether a brake has ended: no velocity, and 0 where ``to_zero``."""
        return not (self.velocity.any() or self.position[to_zero].any())

    def _speeds(self, distance: FloatArray) -> FloatArray:
        """Stopping speeds [unit/s] for a distance and for the room above and below, (3, A)."""
        self._distances[0] = distance
        np.subtract(self._limits.upper, self.position, out=self._distances[1])
        np.subtract(self.position, self._limits.lower, out=self._distances[2])
        room = np.maximum(self._distances, 0.0) / self._unit
        speeds: FloatArray = stopping_speed(room) * self._dv
        return speeds

    def _allowed(self, wanted: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
        limit = self._limits.velocity
        low = np.maximum(np.maximum(self.velocity - self._dv, -limit), -down)
        high = np.minimum(np.minimum(self.velocity + self._dv, limit), up)
        velocity: FloatArray = np.minimum(np.maximum(wanted, low), high)
        return velocity

    def _move(self, velocity: FloatArray) -> None:
        self.position = self.position + velocity * self._period_s
        self.acceleration = (velocity - self.velocity) / self._period_s
        self.velocity = velocity

    def _count(
        self,
        wanted: FloatArray,
        velocity: FloatArray,
        clipped: NDArray[np.bool_],
        up: FloatArray,
        down: FloatArray,
    ) -> None:
        """Name the limit that binds in each dimension whose wish was cut."""
        limit = self._limits.velocity
        slack = _HIT_TOLERANCE * self._dv
        cut = np.abs(velocity - wanted) > slack
        at_speed = np.abs(velocity) >= limit - slack
        at_bound = (velocity >= up - slack) | (velocity <= slack - down)
        at_change = np.abs(velocity - self.velocity) >= self._dv - slack
        self.hits[POSITION] += clipped | (cut & at_bound)
        self.hits[VELOCITY] += cut & at_speed
        self.hits[ACCELERATION] += cut & at_change & ~at_speed & ~at_bound
