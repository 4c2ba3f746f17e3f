"""From one chunk into the next, and from standstill into the first.

What is followed is a chain of sources x_0, x_1 ... x_n, each a motion of its own: chunks,
oldest first, and where there was no chunk to go on with, the arm coasting to rest. Every
source fades into what comes after it,

    y_n = x_n,    y_i = x_i + f_{i+1} (y_{i+1} - x_i),    setpoint = y_0

with f the quintic smoothstep, whose first and second derivatives vanish at both ends. So

- a splice changes neither position nor velocity nor acceleration of the setpoint;
- the setpoint lies between its sources at all times: chunks that contradict each other,
  however often, cannot throw the arm wider than they reach themselves;
- a chunk that agrees with the one before it is followed exactly, from the splice on;
- a fade under way is not begun anew by the next chunk, which takes the place of its goal.

A literal continuation, the cubic spline that starts with the commanded position, velocity
and acceleration and runs through every row, is unstable: its error grows by -(2 + sqrt 3)
per row.
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

#: Share of a limit that a fade may use; the rest is left to the chunks' own motion.
SHARE = 0.8
#: Peak of the quintic smoothstep's derivatives, for a change of 1 in a time of 1.
_PEAK_VELOCITY, _PEAK_ACCELERATION, _PEAK_JERK = 1.875, 10.0 / 3.0**0.5, 60.0
#: Peak acceleration of s f(s), the fade between velocities that differ by 1.
_PEAK_PER_VELOCITY = 4.61
#: Longest that a difference in velocity makes a fade, in shortest fades: a noisy chunk's
#: velocity says little about where it goes.
_LONGEST_FOR_VELOCITY = 2.0
#: Fades under way at once; one more, and the setpoint begins anew where the arm is.
MOST_FADES = 24


class Source(Protocol):
    """A motion (3, A) at every time."""

    def sample(self, now_ns: int) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Fade:
    """f of each dimension: ``begun`` (A,) of it at ``start_ns``, ``rate`` (A,) more a second."""

    start_ns: int
    begun: FloatArray
    rate: FloatArray

    @classmethod
    def over(cls, start_ns: int, durations_s: FloatArray) -> Fade:
        """From 0 to 1 in ``durations_s`` (A,); a duration of 0 is a fade that is over."""
        over = durations_s <= 0.0
        rate = np.where(over, 0.0, 1.0 / np.where(over, 1.0, durations_s))
        return cls(start_ns, over.astype(np.float64), rate)

    def ended(self, which: NDArray[np.bool_]) -> Fade:
        """This fade, over where ``which`` (A,)."""
        begun, rate = np.where(which, 1.0, self.begun), np.where(which, 0.0, self.rate)
        return Fade(self.start_ns, begun, rate)

    def progress(self, now_ns: int) -> FloatArray:
        """Share of the fade's time that has passed, (A,)."""
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
    """From a motion (3, A) to rest in ``durations_s`` (A,), where nothing better is known.

    With s from 0 to 1 the velocity is v (1 - 3 s^2 + 2 s^3) + a T s (1 - s)^2: velocity and
    acceleration begin as commanded and end at 0.
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
    """The setpoint from a splice on: the newest chunk, and what fades into it."""

    def __init__(
        self, timeline: Timeline, sources: tuple[Source, ...], fades: tuple[Fade, ...]
    ) -> None:
        self.timeline = timeline
        self.sources = sources  # oldest first, the timeline last
        self.fades = fades  # fades[i]: from sources[i] into what follows

    @property
    def chunk(self) -> ActionChunk:
        """The newest chunk, the one being executed."""
        return self.timeline.chunk

    @property
    def end_ns(self) -> int:
        """Time from which there is nothing to execute."""
        return self.timeline.end_ns

    def sample(self, now_ns: int) -> FloatArray:
        """Motion (3, A) at a time from the splice on. Forgets fades that are over."""
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

    A fade takes ``shortest_s``, or longer where it would ask for more than a share of a
    dimension's limits: over a distance d and a difference w in velocity the quintic takes
    a velocity of 1.9 d/T, an acceleration of 5.8 d/T^2 + 4.6 w/T and a jerk of 60 d/T^3.
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
        """A path from ``commanded`` (3, A), as of the last tick, into a chunk."""
        coast = self.coast(now_ns, commanded)
        apart = timeline.sample(now_ns) - commanded
        fade = Fade.over(now_ns - self._period_ns, self.durations_s(apart))
        return Path(timeline, (coast, timeline), (fade,))

    def splice(self, path: Path, timeline: Timeline, now_ns: int, commanded: FloatArray) -> Path:
        """``path``, from now on with a new chunk for its goal.

        Where the arm has lost the path, because the path left the limits, the setpoint
        begins anew from ``commanded`` (3, A), as of the last tick.
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
        # What is lost has left every source behind it and coasts into the chunk.
        anew = self.durations_s(goal - commanded)
        fades = (
            *(fade.ended(lost) for fade in path.fades),
            Fade.over(now_ns, np.where(lost, 0.0, durations_s)),
            Fade.over(before_ns, np.where(lost, anew, 0.0)),
        )
        coast = self.coast(now_ns, commanded)
        return Path(timeline, (*path.sources, coast, timeline), fades)

    def coast(self, now_ns: int, commanded: FloatArray) -> Coast:
        """To rest in the time the limits take for it, 1.5 v/a, and half a fade at least."""
        braking_s = 1.5 * np.abs(commanded[1]) / self._acceleration
        durations_s = np.maximum(braking_s, 0.5 * self._shortest_s)
        return Coast(now_ns - self._period_ns, commanded, durations_s)
