"""The shortest stop under limits of acceleration and jerk, in closed form.

The fastest stop from velocity v and acceleration a has three phases: jerk -J until the
acceleration is -b, constant acceleration -b, then jerk +J until the acceleration is 0. All signs
are mirrored if v + a |a| / 2J is negative. If the limit A is not reached, b^2 = J v + a^2 / 2
and the second phase is empty. Otherwise b = A and the second phase removes the remaining velocity.
Every later part of a shortest stop is itself a shortest stop, so no state is kept between ticks.

Arrays have the shape (..., A); ``jerk`` and ``acceleration`` are the limits, shape (A,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pi0_ros.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop: its sign, and with that sign applied v, a, b and the durations of three phases."""

    sign: FloatArray
    v: FloatArray
    a: FloatArray
    b: FloatArray
    onset_s: FloatArray
    wait_s: FloatArray
    release_s: FloatArray


def plan_stop(v: FloatArray, a: FloatArray, acceleration: FloatArray, jerk: FloatArray) -> Stop:
    """The shortest stop from velocity ``v`` and acceleration ``a``."""
    sign = np.where(v + a * np.abs(a) / (2.0 * jerk) >= 0.0, 1.0, -1.0)
    v, a = sign * v, sign * a
    unbounded = jerk * v + 0.5 * a * a  # b^2 without the limit A
    # Not less than the present deceleration, even if that is above the limit.
    b = np.maximum(np.minimum(np.sqrt(np.maximum(unbounded, 0.0)), acceleration), -a)
    waits = np.maximum(unbounded - b * b, 0.0) / (jerk * acceleration)
    return Stop(
        sign=sign,
        v=v,
        a=a,
        b=b,
        onset_s=np.maximum(a + b, 0.0) / jerk,
        wait_s=np.where(b < acceleration, 0.0, waits * acceleration / np.maximum(b, acceleration)),
        release_s=b / jerk,
    )


def reach(
    v: FloatArray, a: FloatArray, acceleration: FloatArray, jerk: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Upper bounds of the speed and the distance of a stop, cheaper than :func:`extent`."""
    speed = np.abs(v) + a * a / (2.0 * jerk)
    return speed, speed * (speed / acceleration + 2.0 * acceleration / jerk)


def extent(stop: Stop, jerk: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The lowest (<= 0) and highest (>= 0) displacement of a stop, and its highest speed."""
    v, a, b, t1, t2 = stop.v, stop.a, stop.b, stop.onset_s, stop.wait_s
    v1 = v + t1 * (a - 0.5 * jerk * t1)
    end = t1 * (v + t1 * (0.5 * a - jerk * t1 / 6.0)) + t2 * (v1 - 0.5 * b * t2)
    end += b * stop.release_s * stop.release_s / 6.0
    # The motion may first go the other way, until the velocity passes 0.
    back = np.minimum(v, 0.0)
    turn_s = (a - np.sqrt(np.maximum(a * a + 2.0 * jerk * back, 0.0))) / jerk
    turn_s = np.where(back < 0.0, turn_s, 0.0)
    dip = turn_s * (back + turn_s * (0.5 * a - jerk * turn_s / 6.0))
    low, high = np.minimum(dip, 0.0), np.maximum(end, 0.0)
    up = stop.sign > 0.0
    pushed = np.maximum(a, 0.0)
    speed = np.maximum(np.abs(v), v + pushed * pushed / (2.0 * jerk))
    return np.where(up, low, -high), np.where(up, high, -low), speed


def follow(stop: Stop, duration_s: float, jerk: FloatArray) -> FloatArray:
    """Displacement, velocity and acceleration (3, ..., A) after ``duration_s`` of a stop."""
    d, v, a = np.zeros_like(stop.v), stop.v, stop.a
    remaining_s = np.full_like(v, duration_s)
    phases = ((stop.onset_s, -jerk), (stop.wait_s, 0.0 * jerk), (stop.release_s, jerk))
    for length_s, j in phases:
        t = np.minimum(length_s, remaining_s)
        d = d + t * (v + t * (0.5 * a + j * t / 6.0))
        v = v + t * (a + 0.5 * j * t)
        a = a + j * t
        remaining_s = remaining_s - t
    over = stop.onset_s + stop.wait_s + stop.release_s <= duration_s
    v, a = np.where(over, 0.0, v), np.where(over, 0.0, a)
    motion: FloatArray = stop.sign * np.stack((d, v, a))
    return motion
