"""Position, velocity, acceleration and jerk limits of the emitted stream, in discrete time.

Positions p_k are emitted once per period dt. The velocity of a tick is
v_k = (p_k - p_{k-1}) / dt. Its acceleration is (v_k - v_{k-1}) / dt, and its jerk is the
difference of accelerations divided by dt. All of them refer to *commanded* positions, never to
measured ones. The dimensions of a base are velocities, so there each limit applies one derivative
higher: the velocity limit bounds the acceleration, and the acceleration limit bounds the jerk.

A dimension cannot exceed its jerk limit if its acceleration may change from one bound to the other
within one tick, J dt >= 2 A. At 50 Hz this holds for every arm. The slower :class:`JerkLimiter` is
used only for the other dimensions: with shorter ticks or a low jerk limit.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.control.acceleration_limit import AccelerationLimiter
from pi0_ros.control.jerk_limit import JerkLimiter
from pi0_ros.embodiment import LimitArrays

BoolArray = NDArray[np.bool_]

#: A target this far outside its bounds counts as inside [unit], because chunks are float32.
_POSITION_TOLERANCE = 1e-6

#: Rows of :attr:`Limiter.hits`.
POSITION, VELOCITY, ACCELERATION, JERK = range(4)


class Limiter:
    """The commanded motion of A dimensions, advanced one tick at a time.

    ``period_s`` is the nominal tick period. Missed ticks are not caught up: the next tick advances
    by one nominal period, which is slower in real time and so within the limits too.

    A dimension that starts outside its position bounds may move back inside, but never further
    out. The start velocity is clipped to its limit.
    """

    def __init__(
        self,
        limits: LimitArrays,
        period_s: float,
        position: FloatArray,
        velocity: FloatArray | None = None,
    ) -> None:
        self._limits = limits
        start = np.zeros(len(position)) if velocity is None else velocity
        start = np.clip(start, -limits.velocity, limits.velocity)
        needs_jerk = limits.jerk * period_s < 2.0 * limits.acceleration
        self._parts: list[tuple[BoolArray | slice, AccelerationLimiter | JerkLimiter]] = []
        for kind, which in ((AccelerationLimiter, ~needs_jerk), (JerkLimiter, needs_jerk)):
            if which.any():
                where = slice(None) if which.all() else which
                own = _of(limits, where)
                part = kind(own, period_s, np.asarray(position)[where], start[where])
                self._parts.append((where, part))
        #: Ticks in which a dimension was limited, (4, A): position, velocity, acceleration, jerk.
        self.hits: NDArray[np.uint64] = np.zeros((4, len(position)), dtype=np.uint64)
        self._no_acceleration = np.zeros(len(position))
        self._gather()

    @property
    def motion(self) -> FloatArray:
        """Position, velocity and acceleration (3, A) at the time of the last tick."""
        motion = np.empty((3, len(self.position)))
        for where, part in self._parts:
            motion[:, where] = part.motion
        return motion

    @property
    def slope(self) -> FloatArray:
        """Velocity (A,) at the time of the last tick; :attr:`velocity` is the mean over it."""
        return self._of_parts("slope")

    def track(
        self, target: FloatArray, rate: FloatArray, acceleration: FloatArray | None = None
    ) -> None:
        """Advance towards a target (A,) that moves at ``rate`` (A,) and is due this tick.

        A reference within the limits is met exactly. Any other reference is approached as fast as
        allowed, with braking in time so that a target at rest is not overshot.
        """
        aim = np.minimum(np.maximum(target, self._limits.lower), self._limits.upper)
        clipped = np.abs(aim - target) > _POSITION_TOLERANCE
        if acceleration is None:
            acceleration = self._no_acceleration
        if clipped.any():
            self.hits[POSITION] += clipped
            rate = np.where(clipped, 0.0, rate)
            acceleration = np.where(clipped, 0.0, acceleration)
        for where, part in self._parts:
            bound = part.track(aim[where], rate[where], acceleration[where])
            if bound is not None:
                self._count(where, bound, clipped)
        self._gather()

    def brake(self, to_zero: BoolArray) -> None:
        """Advance one tick of the stop: to standstill, or to the value 0 where ``to_zero``."""
        for where, part in self._parts:
            part.brake(to_zero[where])
        self._gather()

    def is_still(self, to_zero: BoolArray) -> bool:
        """Whether braking has ended: nothing moves, and the value is 0 where ``to_zero``."""
        moving = self.velocity.any() or self.acceleration.any()
        return not (moving or self.position[to_zero].any())

    def _count(self, where: BoolArray | slice, bound: BoolArray, clipped: BoolArray) -> None:
        """Add the limits (4, n) that applied in this tick; a clipped target counts once."""
        bound[POSITION] &= ~clipped[where]
        self.hits[:, where] += bound

    def _gather(self) -> None:
        """Position, velocity and acceleration of all parts, in embodiment order."""
        self.position: FloatArray = self._of_parts("position")
        self.velocity: FloatArray = self._of_parts("velocity")
        self.acceleration: FloatArray = self._of_parts("acceleration")

    def _of_parts(self, what: str) -> FloatArray:
        if len(self._parts) == 1:
            alone: FloatArray = getattr(self._parts[0][1], what)
            return alone
        gathered = np.empty(len(self._no_acceleration))
        for where, part in self._parts:
            gathered[where] = getattr(part, what)
        return gathered


def _of(limits: LimitArrays, where: BoolArray | slice) -> LimitArrays:
    return LimitArrays(**{f.name: getattr(limits, f.name)[where] for f in fields(limits)})
