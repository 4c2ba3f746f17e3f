"""Blends one chunk into the next, and a standstill into the first chunk.

The setpoint is made from a chain of sources x_0, x_1 ... x_n, oldest first. Each source is a
motion: a chunk, or the arm that coasts to rest if there was no chunk. Each source fades into the
sources after it:

    y_n = x_n,    y_i = x_i + f_{i+1} (y_{i+1} - x_i),    setpoint = y_0

f is the quintic smoothstep, whose first and second derivatives are 0 at both ends. Therefore

- a splice does not change position, velocity or acceleration of the setpoint;
- the setpoint is always between its sources, so contradictory chunks cannot move the arm further
  than the chunks themselves reach;
- a chunk that agrees with the previous one is followed exactly from the splice on;
- the next chunk replaces the goal of a running fade and does not restart it.

A cubic spline that starts with the commanded position, velocity and acceleration and passes
through every row would be unstable: its error grows by -(2 + sqrt 3) per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.control.chunk import ActionChunk
from pi0_ros.control.timeline import Timeline
from pi0_ros.embodiment import LimitArrays
from pi0_ros.stamps import S_PER_NS

#: Share of a limit that a fade may use. The remaining share is for the motion of the chunks.
SHARE = 0.8
#: Peak of the quintic smoothstep's derivatives, for a change of 1 in a time of 1.
_PEAK_VELOCITY, _PEAK_ACCELERATION, _PEAK_JERK = 1.875, 10.0 / 3.0**0.5, 60.0
#: Peak acceleration of s f(s), the fade between velocities that differ by 1.
_PEAK_PER_VELOCITY = 4.61
#: A difference in velocity extends a fade to at most this multiple of the shortest fade, because
#: the velocity of a noisy chunk does not predict its motion.
_LONGEST_FOR_VELOCITY = 2.0
#: Largest number of fades at once. One more fade restarts the setpoint at the commanded motion.
MOST_FADES = 24


class Source(Protocol):
    """A motion (3, A) at every time."""

    def sample(self, now_ns: int) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Fade:
    """f of each dimension: its progress is ``begun`` (A,) at ``start_ns`` and grows at ``rate``."""

    start_ns: int
    begun: FloatArray
    rate: FloatArray

    @classmethod
    def over(cls, start_ns: int, durations_s: FloatArray) -> Fade:
        """From 0 to 1 in ``durations_s`` (A,); a fade of duration 0 has ended."""
        over = durations_s <= 0.0
        rate = np.where(over, 0.0, 1.0 / np.where(over, 1.0, durations_s))
        return cls(start_ns, over.astype(np.float64), rate)

    def ended(self, which: NDArray[np.bool_]) -> Fade:
        """This fade, ended in the dimensions ``which`` (A,)."""
        begun, rate = np.where(which, 1.0, self.begun), np.where(which, 0.0, self.rate)
        return Fade(self.start_ns, begun, rate)

    def progress(self, now_ns: int) -> FloatArray:
        """Elapsed share of the duration, (A,)."""
        return np.minimum(self.begun + (now_ns - self.start_ns) * S_PER_NS * self.rate, 1.0)

    def mix(self, old: FloatArray, new: FloatArray, s: FloatArray) -> FloatArray:
        """``old + f (new - old)`` of two motions (3, A), by the product rule."""
        r = s * (1.0 - s)
        rr = 30.0 * r
        f = s * s * s * (10.0 + s * (6.0 * s - 15.0))
        f_1 = rr * r * self.rate
        f_2 = 2.0 * rr * (1.0 - 2.0 * s) * self.rate * self.rate
        apart = new - old
        mixed = old + f * apart
        mixed[1] += f_1 * apart[0]
        mixed[2] += 2.0 * f_1 * apart[1] + f_2 * apart[0]
        return mixed


class Coast:
    """Brings a motion (3, A) to rest in ``durations_s`` (A,), when no chunk says more.

    With s from 0 to 1 the velocity is v (1 - 3 s^2 + 2 s^3) + a T s (1 - s)^2: velocity and
    acceleration start at the commanded values and end at 0.
    """

    def __init__(self, start_ns: int, motion: FloatArray, durations_s: FloatArray) -> None:
        self._start_ns = start_ns
        self._durations_s = durations_s
        self._position = motion[0]
        v, a = motion[1], motion[2] * durations_s
        #: Coefficients of s^0 .. s^3 of the velocity, (4, A).
        self._velocity = np.stack((v, a, -3.0 * v - 2.0 * a, 2.0 * v + a))

    def sample(self, now_ns: int) -> FloatArray:
        """Motion (3, A) at a time."""
        t = self._durations_s
        s = np.minimum((now_ns - self._start_ns) * S_PER_NS / t, 1.0)
        c0, c1, c2, c3 = self._velocity
        return np.stack(
            (
                self._position + t * s * (c0 + s * (c1 / 2.0 + s * (c2 / 3.0 + s * c3 / 4.0))),
                c0 + s * (c1 + s * (c2 + s * c3)),
                (c1 + s * (2.0 * c2 + s * 3.0 * c3)) / t,
            )
        )


class Path:
    """The setpoint after a splice: the newest chunk, and the sources that fade into it."""

    def __init__(
        self, timeline: Timeline, sources: tuple[Source, ...], fades: tuple[Fade, ...]
    ) -> None:
        self.timeline = timeline
        self.sources = sources  # oldest first, the timeline last
        self.fades = fades  # fades[i]: from sources[i] into the sources after it

    @property
    def chunk(self) -> ActionChunk:
        """The newest chunk, the one being executed."""
        return self.timeline.chunk

    @property
    def end_ns(self) -> int:
        """Time after which there is nothing to execute."""
        return self.timeline.end_ns

    def sample(self, now_ns: int) -> FloatArray:
        """Motion (3, A) at a time after the splice. Removes fades that have ended."""
        motion = self.timeline.sample(now_ns)
        for i in range(len(self.fades) - 1, -1, -1):
            s = self.fades[i].progress(now_ns)
            if s.min() >= 1.0:
                self.sources = self.sources[:i] + self.sources[i + 1 :]
                self.fades = self.fades[:i] + self.fades[i + 1 :]
                continue
            motion = self.fades[i].mix(self.sources[i].sample(now_ns), motion, s)
        return motion


class Blender:
    """Begins a path, and splices new chunks into it.

    A fade takes ``shortest_s``. It takes longer if it would exceed its share of a limit: over a
    distance d and a difference w in velocity, the quintic needs a velocity of 1.9 d/T, an
    acceleration of 5.8 d/T^2 + 4.6 w/T and a jerk of 60 d/T^3.
    """

    def __init__(self, limits: LimitArrays, shortest_s: float, period_s: float) -> None:
        self._shortest_s = shortest_s
        self._period_ns = round(period_s / S_PER_NS)
        self._velocity = SHARE * limits.velocity
        self._acceleration = SHARE * limits.acceleration
        self._jerk = SHARE * limits.jerk
        #: Distance (A,) that a fade of the shortest duration covers.
        self.shortest_reach = self._acceleration * shortest_s**2 / _PEAK_ACCELERATION

    def durations_s(self, apart: FloatArray) -> FloatArray:
        """Duration (A,) of a fade between two motions that differ by ``apart`` (3, A)."""
        d, w = np.abs(apart[0]), np.abs(apart[1])
        for_velocity = _PEAK_VELOCITY * d / self._velocity
        half = 0.5 * _PEAK_PER_VELOCITY * w / self._acceleration
        half = np.minimum(half, 0.5 * _LONGEST_FOR_VELOCITY * self._shortest_s)
        for_acceleration = half + np.sqrt(half * half + _PEAK_ACCELERATION * d / self._acceleration)
        for_jerk = np.cbrt(_PEAK_JERK * d / self._jerk)
        slower: FloatArray = np.maximum(np.maximum(for_velocity, for_acceleration), for_jerk)
        return np.maximum(slower, self._shortest_s)

    def begin(self, timeline: Timeline, now_ns: int, commanded: FloatArray) -> Path:
        """A path into a chunk from ``commanded`` (3, A), the motion at the last tick."""
        coast = self.coast(now_ns, commanded)
        apart = timeline.sample(now_ns) - commanded
        fade = Fade.over(now_ns - self._period_ns, self.durations_s(apart))
        return Path(timeline, (coast, timeline), (fade,))

    def splice(self, path: Path, timeline: Timeline, now_ns: int, commanded: FloatArray) -> Path:
        """``path`` with a new chunk as its goal from ``now_ns`` on.

        A dimension has lost the path if the path exceeded its limits and the command is too far
        away. Its setpoint restarts from ``commanded`` (3, A), the motion at the last tick.
        """
        before_ns = now_ns - self._period_ns
        lost = np.abs(commanded[0] - path.sample(before_ns)[0]) > self.shortest_reach
        if lost.all() or len(path.fades) >= MOST_FADES:
            return self.begin(timeline, now_ns, commanded)
        goal = timeline.sample(now_ns)
        durations_s = self.durations_s(goal - path.timeline.sample(now_ns))
        if not lost.any():
            fade = Fade.over(now_ns, durations_s)
            return Path(timeline, (*path.sources, timeline), (*path.fades, fade))
        # A lost dimension leaves every earlier source and coasts into the chunk.
        restart_s = self.durations_s(goal - commanded)
        fades = (
            *(fade.ended(lost) for fade in path.fades),
            Fade.over(now_ns, np.where(lost, 0.0, durations_s)),
            Fade.over(before_ns, np.where(lost, restart_s, 0.0)),
        )
        coast = self.coast(now_ns, commanded)
        return Path(timeline, (*path.sources, coast, timeline), fades)

    def coast(self, now_ns: int, commanded: FloatArray) -> Coast:
        """Coast to rest in the time that the limits need, 1.5 v/a, and at least half a fade."""
        braking_s = 1.5 * np.abs(commanded[1]) / self._acceleration
        durations_s = np.maximum(braking_s, 0.5 * self._shortest_s)
        return Coast(now_ns - self._period_ns, commanded, durations_s)
