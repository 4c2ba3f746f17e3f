"""The setpoints of one chunk over time.

The setpoint passes row k at ``stamp + k * step`` on a cubic spline, which is continuous in
position, velocity and acceleration at any chunk and tick rate. Without a newer chunk the arm slows
down along the last rows and stops at the last row, a little later than its stamp. Otherwise it
would arrive there at speed and brake beyond the path of the policy.

A *motion* is an array (3, A): position, velocity [unit/s] and acceleration [unit/s^2].
"""

from __future__ import annotations

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.control.chunk import ActionChunk
from pi0_ros.control.spline import Spline, slowing
from pi0_ros.stamps import S_PER_NS

#: Time before the last row at which a chunk begins to slow down [s].
RUN_OUT_S = 0.2
#: Largest share of a chunk that this time may take.
_LARGEST_SHARE = 0.25


class Timeline:
    """The spline through the rows of one chunk, computed once."""

    def __init__(self, chunk: ActionChunk) -> None:
        self.chunk = chunk
        self._spline = Spline(chunk.actions)
        self._per_second = np.array([[1.0], [1.0], [1.0]])
        step_s = chunk.step_ns * S_PER_NS
        self._per_second[1:, 0] = 1.0 / step_s, 1.0 / step_s**2
        last = chunk.horizon - 1
        self._run_out = min(RUN_OUT_S / step_s, _LARGEST_SHARE * last)
        #: Time at which the setpoint reaches the last row and the chunk ends.
        self.end_ns = chunk.end_ns + round(self._run_out * chunk.step_ns)

    def step_at(self, now_ns: int) -> int:
        """The step at a time, clamped to 0 .. H-1."""
        step = (now_ns - self.chunk.stamp_ns) // self.chunk.step_ns
        return min(max(step, 0), self.chunk.horizon - 1)

    def sample(self, now_ns: int) -> FloatArray:
        """Motion (3, A) at a time; outside the chunk the first or the last row at rest."""
        steps = (now_ns - self.chunk.stamp_ns) / self.chunk.step_ns
        if steps < 0.0:
            steps, pace, slowed = 0.0, 0.0, 0.0
        else:
            steps, pace, slowed = slowing(steps, self._spline.last, self._run_out)
        motion = self._spline.sample(steps)
        if pace < 1.0:
            motion[2] = motion[2] * (pace * pace) + motion[1] * slowed
            motion[1] *= pace
        motion *= self._per_second
        return motion
