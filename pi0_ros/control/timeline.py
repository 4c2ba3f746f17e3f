"""From time to setpoint: interpolation inside a chunk, blending from one into the next.

Inside a chunk the setpoint runs through every step on cubic Hermite segments with
Catmull-Rom tangents: continuous in position and velocity at any chunk and tick rate,
and local, so one odd step disturbs two segments on either side and no more.

At a splice the new chunk is not jumped to. The setpoint fades from coasting on, at the
commanded velocity, to the chunk. It starts at the commanded position and velocity and lies
between the two at all times, so a noisy or contradictory chunk cannot throw the arm wide.
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
    """The fade from coasting, at ``position`` and ``velocity`` (A,), into a chunk.

    With f the smoothstep from 0 to 1 over ``durations_s`` (A,), the setpoint is
    ``(1 - f) coast + f chunk``. Over a distance d the fade takes a velocity of 1.5 d/T and
    an acceleration of 6 d/T^2; T is the shortest that keeps these within the limits. A
    difference in velocity does not lengthen it: coasting longer strays further from the
    chunk, and the limiter bounds what the change of velocity takes.
    """

    def __init__(
        self,
        start_ns: int,
        position: FloatArray,
        velocity: FloatArray,
        timeline: Timeline,
        limits: LimitArrays,
        shortest_s: float,
    ) -> None:
        d = np.abs(timeline.sample(start_ns).position - position)
        for_acceleration = np.sqrt(6.0 * d / (_BLEND_SHARE * limits.acceleration))
        for_velocity = 1.5 * d / (_BLEND_SHARE * limits.velocity)
        self.durations_s = np.maximum(np.maximum(for_acceleration, for_velocity), shortest_s)
        self._start_ns = start_ns
        self.end_ns = start_ns + math.ceil(float(self.durations_s.max()) / _NS)
        self._position, self._velocity = position, velocity

    def fade(self, setpoint: Setpoint, now_ns: int) -> Setpoint:
        """The chunk's setpoint at this time, as far as it counts already."""
        elapsed_s = (now_ns - self._start_ns) * _NS
        t = np.minimum(elapsed_s / self.durations_s, 1.0)
        f = t * t * (3.0 - 2.0 * t)
        f_rate = 6.0 * t * (1.0 - t) / self.durations_s
        coast = self._position + elapsed_s * self._velocity
        apart = setpoint.position - coast
        rate = (1.0 - f) * self._velocity + f * setpoint.rate + f_rate * apart
        return Setpoint(coast + f * apart, rate)


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
