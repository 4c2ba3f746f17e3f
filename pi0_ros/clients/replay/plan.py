"""From recorded actions to the chunks that replay them: when to send what, without a jump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import NS_PER_S, S_PER_NS

#: Share of the velocity limits that the way to the first recorded pose may use.
_APPROACH_SHARE = 0.25
#: Chunks follow each other this often [s]: well within any observation timeout.
_HOP_S = 0.2


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """N rows (N, A), one each step; the first ``approach_steps`` lead to the recorded ones."""

    rows: FloatArray
    step_ns: int
    horizon: int
    approach_steps: int
    is_velocity: NDArray[np.bool_]

    @property
    def hop(self) -> int:
        """Steps from the beginning of one chunk to that of the next."""
        return max(1, min(self.horizon // 2, round(_HOP_S * NS_PER_S / self.step_ns)))

    @property
    def duration_s(self) -> float:
        """From the first row to the last."""
        return (len(self.rows) - 1) * self.step_ns * S_PER_NS

    def chunk(self, first: int) -> FloatArray:
        """The chunk (H, A) that begins at a row; past the end it rests at the last pose."""
        steps = first + np.arange(self.horizon)
        chunk = self.rows[np.minimum(steps, len(self.rows) - 1)]
        chunk[np.ix_(steps >= len(self.rows), self.is_velocity)] = 0.0
        return chunk


def plan_replay(
    robot: Embodiment, actions: FloatArray, rate_hz: float, commanded: FloatArray, speed: float
) -> ReplayPlan:
    """Replay (N, A) actions recorded at ``rate_hz``, ``speed`` times as fast, from a pose (A,).

    Base velocities are scaled with the speed, so that the base ends where it did. Raises
    ValueError if there is nothing to replay or a number is out of range.
    """
    if actions.ndim != 2 or len(actions) < 2 or not np.isfinite(actions).all():
        raise ValueError(f"actions of shape {actions.shape} cannot be replayed: two finite rows")
    if not 0.0 < speed <= 1.0:
        raise ValueError(f"speed is {speed:g}; give a share above 0, at most 1")
    is_velocity = np.array([d.state is None for d in robot.action])
    step_s = robot.rates.step_duration_s
    recorded = resampled(actions, 1.0 / rate_hz, step_s * speed)
    recorded[:, is_velocity] *= speed
    approach = _approach(robot, commanded, recorded[0], is_velocity)
    return ReplayPlan(
        rows=np.concatenate((approach, recorded)),
        step_ns=round(step_s * NS_PER_S),
        horizon=robot.rates.horizon,
        approach_steps=len(approach),
        is_velocity=is_velocity,
    )


def resampled(rows: FloatArray, from_s: float, to_s: float) -> FloatArray:
    """Rows (N, A) spaced ``from_s`` at a spacing of ``to_s``, linear between; last row kept."""
    duration_s = (len(rows) - 1) * from_s
    times = np.arange(int(duration_s / to_s + 1e-6) + 1) * to_s
    if times[-1] < duration_s - 1e-6:
        times = np.append(times, times[-1] + to_s)
    known = np.arange(len(rows)) * from_s
    return np.stack([np.interp(times, known, column) for column in rows.T], axis=1)


def _approach(
    robot: Embodiment, commanded: FloatArray, first: FloatArray, is_velocity: NDArray[np.bool_]
) -> FloatArray:
    """Rows from the commanded pose to just before the first, along the smoothstep."""
    away = np.where(is_velocity, 0.0, first - commanded)
    limits = robot.limits
    # Smoothstep over T: peak velocity 1.5 d/T, peak acceleration 6 d/T^2.
    for_velocity = 1.5 * np.abs(away) / (_APPROACH_SHARE * limits.velocity)
    for_acceleration = np.sqrt(6.0 * np.abs(away) / (_APPROACH_SHARE * limits.acceleration))
    duration_s = float(np.maximum(for_velocity, for_acceleration).max())
    steps = int(np.ceil(duration_s * robot.rates.chunk_hz))
    s = np.arange(steps) / max(steps, 1)
    rows = commanded + np.multiply.outer(s * s * (3.0 - 2.0 * s), away)
    rows[:, is_velocity] = 0.0
    return rows
