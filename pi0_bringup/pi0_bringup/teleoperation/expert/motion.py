"""Converts gripper waypoints to joint values at every control tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from transforms3d.euler import euler2mat

from pi0_bringup.simulation.viperx import ARM_JOINTS, SIDES, from_gym, joint_mappings, to_gym
from pi0_bringup.teleoperation.expert.waypoints import (
    Variation,
    Waypoint,
    transfer_script,
)
from pi0_bringup.teleoperation.kinematics import ArmKinematics, Pose
from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment

#: From the gripper's link to the point between the fingertips [m].
GRIP_POINT = (0.14, 0.0, 0.0)
#: Amplitude [m] and frequencies [Hz] of the tremor of a human hand.
_TREMOR_M = 0.0004
_TREMOR_HZ = (0.7, 1.3, 2.1)
#: A waypoint with a larger position error counts as unreachable [m].
_UNREACHED_M = 0.02


class UnreachableError(ValueError):
    """A waypoint is out of the arm's reach."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Samples of both arms every ``period_s``: positions and rates (T, A), in embodiment units."""

    period_s: float
    positions: FloatArray
    rates: FloatArray

    @property
    def duration_s(self) -> float:
        """Time of the last sample."""
        return (len(self.positions) - 1) * self.period_s

    def at(self, time_s: float) -> tuple[FloatArray, FloatArray]:
        """Position and rate (A,) each, linear between samples; the rate is 0 outside of them."""
        steps = time_s / self.period_s
        last = len(self.positions) - 1
        if steps < 0.0 or steps >= last:
            row = self.positions[0 if steps < 0.0 else last]
            return row, np.zeros_like(row)
        k = int(steps)
        s = steps - k
        position = (1.0 - s) * self.positions[k] + s * self.positions[k + 1]
        rate = (1.0 - s) * self.rates[k] + s * self.rates[k + 1]
        return position, rate


class ViperXArm:
    """One arm of gym-aloha's model; its gripper always points away from its base."""

    def __init__(self, model: mujoco.MjModel, side: str) -> None:
        joints = [f"vx300s_{side}/{joint}" for joint in ARM_JOINTS]
        self._arm = ArmKinematics(model, joints, f"vx300s_{side}/gripper_link", GRIP_POINT)
        self._base = np.array(model.body(f"vx300s_{side}").pos)

    def waypoint(self, joints: FloatArray, opening: float) -> Waypoint:
        """The waypoint at time 0 for these joint values (6,), with the gripper not rolled."""
        pose = self._arm.forward(joints)
        pitch = float(np.arcsin(np.clip(-pose.rotation[2, 0], -1.0, 1.0)))
        return Waypoint(time_s=0.0, position=pose.position, pitch=pitch, roll=0.0, opening=opening)

    def follow(
        self, poses: Sequence[tuple[FloatArray, float, float]], start: FloatArray
    ) -> FloatArray:
        """Joint values (T, 6) for positions, pitches and rolls; the search starts at ``start``.

        Raises :class:`UnreachableError`.
        """
        rows = np.empty((len(poses), len(start)))
        joints = start
        for k, (position, pitch, roll) in enumerate(poses):
            away = position - self._base
            yaw = float(np.arctan2(away[1], away[0]))
            # Intrinsic yaw, pitch, roll: the x axis of the gripper points outwards and down.
            rotation = np.asarray(euler2mat(yaw, pitch, roll, "rzyx"))
            solution = self._arm.solve(Pose(position, rotation), joints, iterations=20)
            if solution.position_error_m > _UNREACHED_M:
                raise UnreachableError(
                    f"the gripper cannot reach {np.round(position, 3).tolist()} m: it ends "
                    f"{solution.position_error_m * 100:.1f} cm away"
                )
            rows[k] = joints = solution.joints
        return rows


class TransferExpert:
    """Plans demonstrations for a ViperX pair with gym-aloha's model of it.

    Raises ValueError if the embodiment is not a ViperX pair.
    """

    def __init__(self, model: mujoco.MjModel, embodiment: Embodiment) -> None:
        self._mappings = joint_mappings(embodiment)
        self._period_s = 1.0 / embodiment.rates.control_hz
        self._arms = {side: ViperXArm(model, side) for side in SIDES}

    def plan(
        self,
        cube: FloatArray,
        action: FloatArray,
        seed: int,
        variation: Variation | None = None,
    ) -> Motion:
        """Plan the demonstration for a cube at (3,) [m], beginning at ``action`` (A,).

        Raises :class:`UnreachableError`.
        """
        start = to_gym(self._mappings, action)
        begin = {side: start[7 * k : 7 * k + 6] for k, side in enumerate(SIDES)}
        left, right = (
            self._arms[side].waypoint(begin[side], float(start[7 * k + 6]))
            for k, side in enumerate(SIDES)
        )
        script = transfer_script(cube, left, right, seed, variation)
        times = self._period_s * np.arange(int(script.duration_s / self._period_s) + 1, dtype=float)
        random = np.random.default_rng((seed, 1))
        columns = []
        for side, waypoints in zip(SIDES, (script.left, script.right), strict=True):
            poses, openings = _sampled(waypoints, times, random)
            columns += [self._arms[side].follow(poses, begin[side]), openings[:, None]]
        positions = from_gym(self._mappings, np.hstack(columns))
        positions[0] = action
        return Motion(self._period_s, positions, np.gradient(positions, self._period_s, axis=0))


def _sampled(
    waypoints: tuple[Waypoint, ...], times: FloatArray, random: np.random.Generator
) -> tuple[list[tuple[FloatArray, float, float]], FloatArray]:
    """Poses of one gripper at the times, and its opening (T,)."""
    knots = np.array([w.time_s for w in waypoints])
    values = np.array([(*w.position, w.pitch, w.roll, w.opening) for w in waypoints])
    k = np.clip(np.searchsorted(knots, times, side="right") - 1, 0, len(knots) - 2)
    span = knots[k + 1] - knots[k]
    s = np.clip((times - knots[k]) / span, 0.0, 1.0)
    # Minimum jerk (Flash and Hogan 1985), at rest at each waypoint, as human hands move.
    share = s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
    rows = values[k] + share[:, None] * (values[k + 1] - values[k])
    # Only its speed limits a gripper: a constant speed is the fastest motion.
    rows[:, 5] = np.interp(times, knots, values[:, 5])
    rows[:, :3] += _tremor(times, random)
    return [(row[:3], float(row[3]), float(row[4])) for row in rows], rows[:, 5]


def _tremor(times: FloatArray, random: np.random.Generator) -> FloatArray:
    """The tremor of a human hand: (T, 3) [m], zero at the start."""
    phases = random.uniform(0.0, 2.0 * np.pi, (len(_TREMOR_HZ), 3))
    turns = 2.0 * np.pi * np.multiply.outer(times, np.array(_TREMOR_HZ))
    waves = np.sin(turns[:, :, None] + phases) - np.sin(phases)
    shaking: FloatArray = _TREMOR_M * waves.sum(axis=1)
    return shaking
