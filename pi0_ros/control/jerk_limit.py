"""Limits of position, velocity, acceleration and jerk, for ticks so short that jerk matters.

The commanded motion has a continuous position, velocity and acceleration; within each tick the
jerk is piecewise constant. Differences of the emitted positions are means of the derivatives, so
bounds on the derivatives also bound the differences.

The shortest stop (:mod:`pi0_ros.control.braking`) decides which motion is allowed. A wanted motion
is taken only if the arm could still stop from it within the velocity and position bounds.
Otherwise the tick goes as far towards it as this condition holds, and at least along the shortest
stop from the present motion. The previous tick made sure that this stop is within the bounds, so
an allowed motion always exists.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.control.braking import extent, follow, plan_stop, reach
from pi0_ros.embodiment import LimitArrays

BoolArray = NDArray[np.bool_]

#: Numbers of ticks in which to meet a reference that cannot be met in one tick. With three or more
#: ticks, the first tick lies in the first of the three parts.
_ONE, _SEVERAL = np.array([[1.0]]), np.array([[3.0], [6.0], [12.0], [24.0], [48.0]])
#: Computes the jerks of three equal parts of a time 3 h from the changes of acceleration, velocity
#: and position that they have to make, in units of h, h^2 and h^3.
_PARTS = np.linalg.inv(
    np.array([[1.0, 1.0, 1.0], [2.5, 1.5, 0.5], [19.0 / 6.0, 7.0 / 6.0, 1.0 / 6.0]])
)
#: Share of the jerk limit that plans towards full speed and plans relative to the reference use.
#: The remaining jerk follows the plan while the reference itself changes.
_PLANNED_JERK = 0.7
#: Candidate shares of the way from the shortest stop to the wanted motion.
_TOWARDS = np.linspace(0.0, 1.0, 17)[:, None]
#: A reference above this multiple of the acceleration limit counts as noise.
_NOISE = 2.0
#: A limit counts as reached from this share of it.
_AT_LIMIT = 0.999
#: Relative margin to the limits, for the rounding of the emitted positions.
_MARGIN = 1e-9


class JerkLimiter:
    """Commanded motion of A dimensions, advanced one tick at a time.

    A dimension that starts outside its position bounds, or too fast to stop within them, may move
    back inside. It goes no further out than the shortest stop takes it.
    """

    def __init__(
        self,
        limits: LimitArrays,
        period_s: float,
        position: FloatArray,
        velocity: FloatArray,
    ) -> None:
        self._period_s = period_s
        self._velocity = limits.velocity * (1.0 - _MARGIN)
        self._acceleration = limits.acceleration * (1.0 - _MARGIN)
        self._jerk = limits.jerk * (1.0 - _MARGIN)
        self._step = self._velocity * period_s
        self._no_dimension = np.zeros(len(position), dtype=np.bool_)
        self._bounds = limits.lower, limits.upper
        self._columns = np.arange(len(position))
        self.position: FloatArray = np.array(position, dtype=np.float64)
        self.velocity: FloatArray = np.array(velocity, dtype=np.float64)
        self.acceleration: FloatArray = np.zeros(len(position))
        self._widen_bounds()

    @property
    def motion(self) -> FloatArray:
        """Position, velocity and acceleration (3, A) at the time of the last tick."""
        return np.stack((self.position, self.velocity, self.acceleration))

    @property
    def slope(self) -> FloatArray:
        """Velocity (A,) at the time of the last tick."""
        return self.velocity

    def track(
        self, target: FloatArray, rate: FloatArray, acceleration: FloatArray
    ) -> BoolArray | None:
        """Advance towards a target; returns which limits applied (4, A), or None."""
        held_back = self._move(self._towards(np.stack((target, rate, acceleration))))
        missed = self.position != target
        return self._bound(missed, held_back) if missed.any() else None

    def brake(self, to_zero: BoolArray) -> None:
        """Advance one tick of the stop: to standstill, or to the value 0 where ``to_zero``."""
        stopping = self._stopping()
        if to_zero.any():
            zero = self._towards(np.zeros((3, len(to_zero))))
            self._move(np.where(to_zero, zero, stopping))
        else:
            self._set(stopping)

    def _towards(self, reference: FloatArray) -> FloatArray:
        """The wanted motion after this tick (3, A): on the reference, or on the way to it."""
        met, motions = self._reaching(_ONE, reference)
        wanted: FloatArray = np.where(met[0], reference, motions[:, 0])
        if met.all():
            return wanted
        # A reference that no arm can follow is noise. Its velocity does not predict its motion,
        # so it is not extrapolated.
        steady = np.abs(reference[2]) <= _NOISE * self._acceleration
        reference = np.stack((reference[0], *np.where(steady, reference[1:], 0.0)))
        nearer = self._at_full_speed(reference)
        near = np.abs(reference[0] - self.position) < 2.0 * _SEVERAL[-1] * self._step
        if (near & ~met[0]).any():
            soon, motions = self._reaching(_SEVERAL, reference)
            soonest = motions[:, np.argmax(soon, axis=0), self._columns]
            nearer = np.where(soon.any(axis=0), soonest, nearer)
        return np.where(met[0], wanted, self._not_beyond(nearer, reference))

    def _reaching(self, ticks: FloatArray, reference: FloatArray) -> tuple[BoolArray, FloatArray]:
        """Whether the reference can be met after ``ticks`` (N, 1), and the first tick's motion.

        Shapes (N, A) and (3, N, A). The reference is extrapolated at its acceleration.
        """
        dt, (p, v, a) = self._period_s, (self.position, self.velocity, self.acceleration)
        total, h, ahead = ticks * dt, ticks * (dt / 3.0), (ticks - 1.0) * dt
        r_p, r_v, r_a = reference
        goal_v = r_v + r_a * ahead
        goal_p = r_p + ahead * (r_v + 0.5 * r_a * ahead)
        changes = np.stack(
            (
                (r_a - a) / h,
                (goal_v - v - a * total) / (h * h),
                (goal_p - p - total * (v + 0.5 * a * total)) / (h * h * h),
            )
        )
        jerks = (_PARTS @ changes.reshape(3, -1)).reshape(changes.shape)
        middle = np.stack((a + h * jerks[0], r_a - h * jerks[2]))
        possible = (
            (np.abs(jerks).max(axis=0) <= self._jerk)
            & (np.abs(middle).max(axis=0) <= self._acceleration)
            & (np.abs(r_a) <= self._acceleration)
            & (np.abs(goal_v) <= self._velocity)
        )
        return possible, self._moved(jerks[0])

    def _at_full_speed(self, reference: FloatArray) -> FloatArray:
        """The motion (3, A) after one tick of acceleration to full speed towards the reference."""
        dt, a = self._period_s, self.acceleration
        speed = np.copysign(self._velocity, reference[0] - self.position)
        missing = speed - self.velocity - 0.5 * dt * a
        strength = np.sqrt(2.0 * _PLANNED_JERK * self._jerk * np.abs(missing))
        # Correct at most half of the missing speed per tick; more would oscillate.
        strength = np.minimum(strength, np.abs(missing) * (0.5 / dt))
        strength = np.copysign(np.minimum(strength, self._acceleration), missing)
        jerk = (strength - a) / dt
        return self._moved(np.minimum(np.maximum(jerk, -self._jerk), self._jerk))

    def _not_beyond(self, wanted: FloatArray, reference: FloatArray) -> FloatArray:
        """``wanted`` (3, A), or the nearest motion that does not overshoot the reference.

        A motion does not overshoot if, relative to the reference, the arm can stop before it.
        """
        r_p = reference[0]
        r_v = np.minimum(np.maximum(reference[1], -self._velocity), self._velocity)
        most = 0.9 * self._acceleration
        r_a = np.minimum(np.maximum(reference[2], -most), most)
        limit = self._acceleration - np.abs(r_a)
        jerk = _PLANNED_JERK * self._jerk
        frame = np.stack((np.zeros_like(r_p), r_v, r_a))

        def overshoots(motion: FloatArray) -> BoolArray:
            stop = plan_stop(motion[1] - r_v, motion[2] - r_a, limit, jerk)
            down, up, _ = extent(stop, jerk)
            ahead = motion[0] - r_p
            beyond: BoolArray = np.where(behind, ahead + up > 0.0, ahead + down < 0.0)
            return beyond

        behind = self.position < r_p - r_v * self._period_s
        _, distance = reach(wanted[1] - r_v, wanted[2] - r_a, limit, jerk)
        if (distance < np.where(behind, r_p - wanted[0], wanted[0] - r_p)).all():
            return wanted
        over = overshoots(wanted)
        if not over.any():
            return wanted
        dt = self._period_s
        stop = plan_stop(self.velocity - r_v + r_a * dt, self.acceleration - r_a, limit, jerk)
        stopping = follow(stop, dt, jerk) + frame
        stopping[0] += self.position + dt * (r_v - 0.5 * dt * r_a)
        steps = stopping[:, None] + _TOWARDS * (wanted - stopping)[:, None]
        furthest = _last(~overshoots(steps))
        return np.where(over, steps[:, furthest, self._columns], wanted)

    def _moved(self, jerk: FloatArray) -> FloatArray:
        """Motion after one tick at a constant jerk (..., A)."""
        dt, (p, v, a) = self._period_s, (self.position, self.velocity, self.acceleration)
        return np.stack(
            (
                p + dt * (v + dt * (0.5 * a + dt * jerk / 6.0)),
                v + dt * (a + 0.5 * dt * jerk),
                a + dt * jerk,
            )
        )

    def _stopping(self) -> FloatArray:
        """Motion after one tick of the shortest stop, (3, A)."""
        stop = plan_stop(self.velocity, self.acceleration, self._acceleration, self._jerk)
        motion = follow(stop, self._period_s, self._jerk)
        motion[0] += self.position
        return motion

    def _move(self, wanted: FloatArray) -> BoolArray:
        """Go to ``wanted`` (3, A), or as near as a stop allows; returns where it was held back."""
        held_back: BoolArray = self._no_dimension
        if not self._can_surely_stop(wanted):
            held_back = ~self._can_stop(wanted)
        if not held_back.any():
            self._set(wanted)
            return held_back
        stopping = self._stopping()
        steps = stopping[:, None] + _TOWARDS * (wanted - stopping)[:, None]
        furthest = _last(self._can_stop(steps))
        self._set(np.where(held_back, steps[:, furthest, self._columns], wanted))
        return held_back

    def _can_surely_stop(self, motion: FloatArray) -> bool:
        """Whether :meth:`_can_stop` holds in every dimension, by a cheap sufficient test."""
        position, velocity, acceleration = motion
        speed, distance = reach(velocity, acceleration, self._acceleration, self._jerk)
        moved = np.abs(position - self.position)
        room = np.minimum(self._upper - position, position - self._lower)
        fast = (speed > self._velocity) | (moved > self._step)
        return not (fast | (np.abs(acceleration) > self._acceleration) | (distance > room)).any()

    def _can_stop(self, motion: FloatArray) -> BoolArray:
        """Whether the arm can stop within its bounds (..., A) from a motion (3, ..., A)."""
        position, velocity, acceleration = motion
        stop = plan_stop(velocity, acceleration, self._acceleration, self._jerk)
        down, up, speed = extent(stop, self._jerk)
        moved = np.abs(position - self.position)
        room: BoolArray = (
            (np.abs(acceleration) <= self._acceleration)
            & (speed <= self._velocity)
            & (moved <= self._step)
            & (position + up <= self._upper)
            & (position + down >= self._lower)
        )
        return room

    def _bound(self, missed: BoolArray, held_back: BoolArray) -> BoolArray:
        """Which limit applied in each dimension whose reference was not met, (4, A)."""
        a = self.acceleration
        speed = np.abs(self.velocity + a * np.abs(a) / (2.0 * self._jerk))
        at_speed = speed >= _AT_LIMIT * self._velocity
        at_bound = held_back & ~at_speed
        at_change = (np.abs(a) >= _AT_LIMIT * self._acceleration) & ~at_speed & ~at_bound
        by_jerk = ~(at_speed | at_bound | at_change)
        bound: BoolArray = missed & np.stack((at_bound, at_speed, at_change, by_jerk))
        return bound

    def _set(self, motion: FloatArray) -> None:
        self.position, self.velocity, self.acceleration = motion
        if self._is_wider:
            self._widen_bounds()

    def _widen_bounds(self) -> None:
        """Widen the position bounds only as far as the shortest stop from here exceeds them."""
        lower, upper = self._bounds
        stop = plan_stop(self.velocity, self.acceleration, self._acceleration, self._jerk)
        down, up, _ = extent(stop, self._jerk)
        self._lower = np.minimum(lower, self.position + down)
        self._upper = np.maximum(upper, self.position + up)
        self._is_wider = bool(((self._lower < lower) | (self._upper > upper)).any())


def _last(allowed: BoolArray) -> NDArray[np.intp]:
    """Index (A,) of the last allowed row of (N, A), or 0 if no row is allowed."""
    allowed[0] = True
    last: NDArray[np.intp] = len(allowed) - 1 - np.argmax(allowed[::-1], axis=0)
    return last
