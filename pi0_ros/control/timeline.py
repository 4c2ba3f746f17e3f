"""From time to setpoint: interpolation inside a chunk, blending from one into the next.

Inside a chunk the setpoint runs through every step on cubic Hermite segments with
Catmull-Rom tangents: continuous in position and velocity at any chunk and tick rate,
and local, so one odd step disturbs two segments on either side and no more.

At a splice the new chunk is not jumped to. The difference between what was commanded
and what the chunk wants, in position and in velocity, is carried along as a cubic that
decays to zero; its duration follows from the limits of each dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.chunk import ActionChunk
from pi0_ros.embodiment import LimitArrays

FloatArray = NDArray[np.float64]

_NS = 1e-9

#: Share of a limit that a blend may use; the rest is left to the chunk's own motion.
_BLEND_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Position and its rate of change at one time, shape (A,) each."""

    position: FloatArray
    rate: FloatArray


class Timeline:
    """One chunk laid out on the clock; coefficients are computed once."""

    def __init__(self, chunk: ActionChunk) -> None:
        self.chunk = chunk
        self._coefficients = _catmull_rom(chunk.actions)
        self._step_s = chunk.step_ns * _NS

    def step_at(self, now_ns: int) -> int:
        """Step the time lies in, clamped to 0 .. H-1."""
        step = (now_ns - self.chunk.stamp_ns) // self.chunk.step_ns
        return min(max(step, 0), self.chunk.horizon - 1)

    def sample(self, now_ns: int) -> Setpoint:
        """Setpoint at a time; the first or last row, at rest, outside the chunk."""
        steps = (now_ns - self.chunk.stamp_ns) / self.chunk.step_ns
        last = len(self._coefficients)
        if steps < 0.0 or steps > last or last == 0:
            row = self.chunk.actions[0 if steps < 0.0 else -1]
            return Setpoint(row, np.zeros_like(row))
        segment = min(int(steps), last - 1)
        s = steps - segment
        basis = np.array(
            ((1.0, s, s * s, s * s * s), (0.0, *(k / self._step_s for k in (1, 2 * s, 3 * s * s))))
        )
        position, rate = basis @ self._coefficients[segment]
        return Setpoint(position, rate)


class Blend:
    """What is still left of a difference ``gap`` (A,) with rate ``rate_gap`` (A,).

    Added to a chunk's setpoint it starts at the commanded position and velocity and
    vanishes, with its rate, after ``durations_s`` (A,), which are as short as the limits
    allow: for h with h(0) = d, h'(0) = w, h(T) = h'(T) = 0 the cubic's largest
    acceleration is below 6|d|/T^2 + 4|w|/T and its largest velocity due to d is 1.5|d|/T.
    """

    def __init__(
        self,
        start_ns: int,
        gap: FloatArray,
        rate_gap: FloatArray,
        limits: LimitArrays,
        shortest_s: float,
    ) -> None:
        d, w = np.abs(gap), np.abs(rate_gap)
        a = _BLEND_SHARE * limits.acceleration
        for_acceleration = (2.0 * w + np.sqrt(4.0 * w * w + 6.0 * a * d)) / a
        for_velocity = 1.5 * d / (_BLEND_SHARE * limits.velocity)
        self.durations_s = np.maximum(np.maximum(for_acceleration, for_velocity), shortest_s)
        self._start_ns = start_ns
        self.end_ns = start_ns + math.ceil(float(self.durations_s.max()) / _NS)
        run = self.durations_s * rate_gap
        self._c0, self._c1 = gap, run
        self._c2, self._c3 = -3.0 * gap - 2.0 * run, 2.0 * gap + run

    def add_to(self, setpoint: Setpoint, now_ns: int) -> Setpoint:
        """The setpoint with the remaining difference added."""
        t = np.minimum((now_ns - self._start_ns) * _NS / self.durations_s, 1.0)
        left = self._c0 + t * (self._c1 + t * (self._c2 + t * self._c3))
        rate = (self._c1 + t * (2.0 * self._c2 + 3.0 * t * self._c3)) / self.durations_s
        return Setpoint(setpoint.position + left, setpoint.rate + rate)


def _catmull_rom(rows: FloatArray) -> FloatArray:
    """Cubic coefficients per segment, (H, A) -> (H-1, 4, A), in steps from its start."""
    if len(rows) < 2:
        return np.empty((0, 4, rows.shape[1]))
    rise = np.diff(rows, axis=0)
    tangents = np.concatenate((rise[:1], 0.5 * (rise[1:] + rise[:-1]), rise[-1:]))
    before, after = tangents[:-1], tangents[1:]
    return np.stack(
        (rows[:-1], before, 3.0 * rise - 2.0 * before - after, before + after - 2.0 * rise),
        axis=1,
    )
