"""Plans the chunks that replay recorded actions without a jump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import NS_PER_S, S_PER_NS

#: Ratio of the limits that the motion to the first recorded pose may use.
_APPROACH_RATIO = 0.25
#: Time from one chunk to the next [s], well below every observation timeout.
_STRIDE_S = 0.2


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """The rows (N, A) of N steps; the first ``approach_steps`` move to the first recorded row."""

    rows: FloatArray
    step_ns: int
    horizon: int
    approach_steps: int
    is_velocity: NDArray[np.bool_]

    @property
    def stride(self) -> int:
        """Steps from the start of one chunk to the start of the next."""
        return max(1, min(self.horizon // 2, round(_STRIDE_S * NS_PER_S / self.step_ns)))

    @property
    def duration_s(self) -> float:
        """Time from the first row to the last."""
        return (len(self.rows) - 1) * self.step_ns * S_PER_NS

    def chunk(self, first: int) -> FloatArray:
        """The chunk (H, A) that starts at row ``first``; after the last row it rests there."""
        steps = first + np.arange(self.horizon)
        chunk = self.rows[np.minimum(steps, len(self.rows) - 1)]
        chunk[np.ix_(steps >= len(self.rows), self.is_velocity)] = 0.0
        return chunk


def plan_replay(
    robot: Embodiment, actions: FloatArray, rate_hz: float, commanded: FloatArray, speed: float
) -> ReplayPlan:
    """Plan the replay of actions (N, A), recorded at ``rate_hz``, from the ``commanded`` pose (A,).

    ``speed`` is a ratio. It scales base velocities too, so that the base reaches the same place.
    Raises ValueError if there is nothing to replay or a number is out of range.
    """
    if actions.ndim != 2 or len(actions) < 2 or not np.isfinite(actions).all():
        raise ValueError(
            f"actions of shape {actions.shape} cannot be replayed; two finite rows are needed"
        )
    if not 0.0 < speed <= 1.0:
        raise ValueError(f"speed is {speed:g}; give a ratio above 0, at most 1")
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
    """Interpolate rows (N, A) linearly from a period ``from_s`` to ``to_s``; keep the last row."""
    duration_s = (len(rows) - 1) * from_s
    times = np.arange(int(duration_s / to_s + 1e-6) + 1) * to_s
    if times[-1] < duration_s - 1e-6:
        times = np.append(times, times[-1] + to_s)
    known = np.arange(len(rows)) * from_s
    return np.stack([np.interp(times, known, column) for column in rows.T], axis=1)


def _approach(
    robot: Embodiment, commanded: FloatArray, first: FloatArray, is_velocity: NDArray[np.bool_]
) -> FloatArray:
    """Rows from the commanded pose to just before the ``first`` row, along a smoothstep."""
    away = np.where(is_velocity, 0.0, first - commanded)
    limits = robot.limits
    # Smoothstep over T: peak velocity 1.5 d/T, peak acceleration 6 d/T^2.
    for_velocity = 1.5 * np.abs(away) / (_APPROACH_RATIO * limits.velocity)
    for_acceleration = np.sqrt(6.0 * np.abs(away) / (_APPROACH_RATIO * limits.acceleration))
    duration_s = float(np.maximum(for_velocity, for_acceleration).max())
    steps = int(np.ceil(duration_s * robot.rates.chunk_hz))
    s = np.arange(steps) / max(steps, 1)
    rows = commanded + np.multiply.outer(s * s * (3.0 - 2.0 * s), away)
    rows[:, is_velocity] = 0.0
    return rows
