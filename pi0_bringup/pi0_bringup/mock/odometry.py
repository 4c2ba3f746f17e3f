"""Planar odometry from base velocities."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanarPose:
    """Pose of the base in its odometry frame: metres and radians."""

    x_m: float = 0.0
    y_m: float = 0.0
    yaw_rad: float = 0.0

    def moved(
        self, vx_m_s: float, vy_m_s: float, yaw_rate_rad_s: float, duration_s: float
    ) -> PlanarPose:
        """The pose after a constant twist in the base frame, exactly (an arc).

        The exponential map of SE(2); yaw is kept in (-pi, pi].
        """
        turn = yaw_rate_rad_s * duration_s
        # sin(t)/t and (1 - cos(t))/t, by their series near zero.
        near = abs(turn) < 1e-6
        along = 1.0 - turn**2 / 6.0 if near else math.sin(turn) / turn
        across = turn / 2.0 if near else (1.0 - math.cos(turn)) / turn
        forward = (along * vx_m_s - across * vy_m_s) * duration_s
        left = (across * vx_m_s + along * vy_m_s) * duration_s
        cos_yaw, sin_yaw = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        yaw = self.yaw_rad + turn
        return PlanarPose(
            x_m=self.x_m + cos_yaw * forward - sin_yaw * left,
            y_m=self.y_m + sin_yaw * forward + cos_yaw * left,
            yaw_rad=math.atan2(math.sin(yaw), math.cos(yaw)),
        )
