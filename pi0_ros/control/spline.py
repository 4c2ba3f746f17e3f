"""Cubic splines through equally spaced rows, continuous up to the second derivative.

With unit spacing, rows y_i and second derivatives M_i, the first derivative is continuous if at
every inner row

    M_{i-1} + 4 M_i + M_{i+1} = 6 (y_{i-1} - 2 y_i + y_{i+1})

Each end needs one more condition. The first row is *not a knot* (M_0 - 2 M_1 + M_2 = 0). This
assumes nothing about the motion before it, so chunks cut from one motion agree with that motion
from their first row on. The last row is *natural* (M_{H-1} = 0): its acceleration is 0, and the
noise of the last rows is not extrapolated. The effect of an end condition shrinks by a factor of
0.27 with every row towards the middle.

The system depends only on the number of rows, so its inverse is computed once per horizon and a
chunk costs one matrix product.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from pi0_ros.arrays import FloatArray


@lru_cache(maxsize=8)
def curvature_operator(rows: int) -> FloatArray:
    """K of shape (rows, rows): ``K @ y`` is the second derivative at every row, per step^2."""
    if rows < 3:
        return np.zeros((rows, rows))
    system, difference = np.eye(rows), np.zeros((rows, rows))
    for i in range(1, rows - 1):
        system[i, i - 1 : i + 2] = (1.0, 4.0, 1.0)
        difference[i, i - 1 : i + 2] = (6.0, -12.0, 6.0)
    system[0, :3] = (1.0, -2.0, 1.0)
    operator: FloatArray = np.linalg.solve(system, difference).astype(np.float64)
    operator.flags.writeable = False
    return operator


class Spline:
    """Position, velocity and acceleration between the rows of ``rows`` (H, A).

    Times are counted in steps from the first row.
    """

    def __init__(self, rows: FloatArray) -> None:
        self.last = len(rows) - 1
        # Each row is stored beside its curvature, so two adjacent rows are one (4, A) block.
        self._knots = np.empty((len(rows), 2, rows.shape[1]))
        self._knots[:, 0] = rows
        np.matmul(curvature_operator(len(rows)), rows, out=self._knots[:, 1])

    def sample(self, steps: float) -> FloatArray:
        """Value and its first two derivatives per step, (3, A), at 0 <= ``steps`` <= H-1."""
        if self.last == 0:
            still = np.zeros((3, self._knots.shape[2]))
            still[0] = self._knots[0, 0]
            return still
        segment = min(int(steps), self.last - 1)
        s = steps - segment
        r = 1.0 - s
        basis = np.array(
            (
                (r, (r * r * r - r) / 6.0, s, (s * s * s - s) / 6.0),
                (-1.0, (1.0 - 3.0 * r * r) / 6.0, 1.0, (3.0 * s * s - 1.0) / 6.0),
                (0.0, r, 0.0, s),
            )
        )
        motion: FloatArray = basis @ self._knots[segment : segment + 2].reshape(4, -1)
        return motion


def slowing(steps: float, last: int, run_out: float) -> tuple[float, float, float]:
    """Time along the rows at time ``steps``, and its first two derivatives.

    Time runs at its normal pace until ``run_out`` steps before the last row. From there it slows
    down and stops at the last row, ``run_out`` steps after that row's own time. With u from 0 to 1
    over 2 ``run_out`` steps, the pace is the smoothstep 1 - 3 u^2 + 2 u^3. The setpoint stays on
    the path and does not overshoot its end.
    """
    begin = last - run_out
    if steps <= begin:
        return steps, 1.0, 0.0
    length = 2.0 * run_out
    if steps >= begin + length or math.isclose(length, 0.0):
        return float(last), 0.0, 0.0
    u = (steps - begin) / length
    u2 = u * u
    return (
        begin + length * (u - u * u2 + 0.5 * u2 * u2),
        1.0 - 3.0 * u2 + 2.0 * u * u2,
        6.0 * (u2 - u) / length,
    )
