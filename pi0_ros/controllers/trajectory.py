"""A joint trajectory as a joint_trajectory_controller follows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """N knots of J joints; before the first and after the last it stands still.

    ``times_s``: (N,), increasing; ``positions``: (N, J); ``velocities``: (N, J)
    or None. Between knots linear without velocities, else a cubic Hermite spline,
    which is what ros2_controllers' joint_trajectory_controller does.
    """

    times_s: NDArray[np.float64]
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64] | None = None

    def sample(self, now_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Position and velocity at a time, shape (J,) each."""
        last = len(self.times_s) - 1
        if now_s >= self.times_s[last]:
            return self.positions[last], np.zeros_like(self.positions[last])
        if now_s < self.times_s[0]:
            return self.positions[0], np.zeros_like(self.positions[0])
        k = int(np.searchsorted(self.times_s, now_s, side="right")) - 1
        span_s = self.times_s[k + 1] - self.times_s[k]
        u = (now_s - self.times_s[k]) / span_s
        p0, p1 = self.positions[k], self.positions[k + 1]
        if self.velocities is None:
            return p0 + u * (p1 - p0), (p1 - p0) / span_s
        m0, m1 = span_s * self.velocities[k], span_s * self.velocities[k + 1]
        # Hermite basis: h00, h10, h01, h11 and their derivatives in u.
        position = (
            (2 * u**3 - 3 * u**2 + 1) * p0
            + (u**3 - 2 * u**2 + u) * m0
            + (3 * u**2 - 2 * u**3) * p1
            + (u**3 - u**2) * m1
        )
        slope = (
            (6 * u**2 - 6 * u) * (p0 - p1) + (3 * u**2 - 4 * u + 1) * m0 + (3 * u**2 - 2 * u) * m1
        )
        return position, slope / span_s


def splice(
    *,
    now_s: float,
    position: NDArray[np.float64],
    velocity: NDArray[np.float64],
    following: Trajectory,
) -> Trajectory:
    """The trajectory that leaves the current setpoint (J,) at ``now_s`` for what follows.

    Knots of ``following`` that are already past are left out; one at least must lie
    ahead, or the result is its last knot.
    """
    ahead = following.times_s > now_s
    if not ahead.any():
        return Trajectory(times_s=following.times_s[-1:], positions=following.positions[-1:])
    velocities = following.velocities
    return Trajectory(
        times_s=np.concatenate([[now_s], following.times_s[ahead]]),
        positions=np.vstack([position, following.positions[ahead]]),
        velocities=None if velocities is None else np.vstack([velocity, velocities[ahead]]),
    )
