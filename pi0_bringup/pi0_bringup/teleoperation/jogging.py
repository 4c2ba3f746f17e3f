"""Jogging: integrates shares of a speed, which sticks and keys give, into a setpoint.

A stick or key moves a target: an action dimension, such as ``left_waist``, or an axis of an end
effector, such as ``left.x`` (x, y, z, roll, pitch, yaw). A ``-`` in front reverses the direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment

if TYPE_CHECKING:  # MuJoCo is not needed to jog joints
    from pi0_bringup.teleoperation.kinematics import ArmKinematics, Pose

#: World axes of an end effector: translations [m], then rotations about the same axes [rad].
CARTESIAN_AXES = ("x", "y", "z", "roll", "pitch", "yaw")
#: An end effector that stays this far from its target is out of the arm's reach [m, rad].
_UNREACHED_M, _UNREACHED_RAD = 0.01, 0.1
#: Share of a joint's velocity limit that Cartesian jogging may use; the motion slows down to it.
_SPEED_SHARE = 0.6
#: A joint that would have to exceed its bound by this factor shows that the arm is close to a
#: singularity. The end effector stops there: beyond it the elbow would bend the other way.
_SINGULAR = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JogSpeeds:
    """Speeds at full deflection.

    ``joint_share`` is a share of a dimension's velocity limit, or of the limits of a base.
    ``linear_m_s`` and ``angular_rad_s`` are speeds of an end effector. ``max_lead_s`` is how far
    a joint may be jogged ahead of the commanded pose, in seconds at its velocity limit.

    Raises ValueError if a value is out of range.
    """

    joint_share: float = 0.2
    linear_m_s: float = 0.15
    angular_rad_s: float = 0.6
    max_lead_s: float = 0.15

    def __post_init__(self) -> None:
        if not 0.0 < self.joint_share <= 1.0:
            raise ValueError(f"joint_share is {self.joint_share}; give a share above 0, up to 1")
        for name in ("linear_m_s", "angular_rad_s", "max_lead_s"):
            value = getattr(self, name)
            if not 0.0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; give a number above 0")


@dataclass(frozen=True, slots=True)
class EndEffector:
    """The action dimensions of one arm, in the order of the kinematics' joints."""

    dimensions: tuple[str, ...]
    kinematics: ArmKinematics


class Jog:
    """The setpoint (A,) of an embodiment, moved by shares in -1 .. 1 of named targets.

    Raises ValueError if an end effector names a dimension the embodiment does not have.
    """

    def __init__(
        self, embodiment: Embodiment, end_effectors: Mapping[str, EndEffector], speeds: JogSpeeds
    ) -> None:
        self._names = embodiment.action_names
        self._limits = limits = embodiment.limits
        self._is_velocity = np.array([d.state is None for d in embodiment.action])
        self._end_effectors = dict(end_effectors)
        self._rows = {
            name: [_index(self._names, d, name) for d in end_effector.dimensions]
            for name, end_effector in end_effectors.items()
        }
        reach = np.maximum(np.abs(limits.lower), np.abs(limits.upper))
        self._full = speeds.joint_share * np.where(self._is_velocity, reach, limits.velocity)
        self._max_lead = speeds.max_lead_s * limits.velocity
        self._cartesian_full = np.repeat((speeds.linear_m_s, speeds.angular_rad_s), 3)
        self.position: FloatArray = np.zeros(len(self._names))
        self._poses: dict[str, Pose] = {}

    def check(self, target: str) -> None:
        """Raise ValueError if a target is neither a dimension nor an axis of an end effector."""
        bare = target.removeprefix("-")
        end_effector, _, axis = bare.partition(".")
        if bare in self._names or (end_effector in self._end_effectors and axis in CARTESIAN_AXES):
            return
        axes = [f"{name}.{{{','.join(CARTESIAN_AXES)}}}" for name in self._end_effectors]
        raise ValueError(
            f"unknown jog target {target!r}; there are {', '.join((*self._names, *axes))}"
        )

    def engage(self, commanded: FloatArray) -> None:
        """Begin at the commanded pose (A,)."""
        self.position = np.where(self._is_velocity, 0.0, commanded)
        self._poses.clear()

    def advance(
        self, shares: Mapping[str, float], elapsed_s: float, commanded: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Setpoint and its rate, (A,) each, ``elapsed_s`` later.

        The setpoint of a base is a velocity; it is zero when nothing moves the base.
        """
        joint_shares = np.zeros(len(self._names))
        twists: dict[str, FloatArray] = {}
        for target, share in shares.items():
            _add(target, share, self._names, joint_shares, twists)
        np.clip(joint_shares, -1.0, 1.0, out=joint_shares)
        before = self.position
        moved = before + joint_shares * self._full * elapsed_s
        self.position = np.where(self._is_velocity, joint_shares * self._full, moved)
        touched = set(np.flatnonzero(joint_shares).tolist())
        for name in self._end_effectors:
            twist = np.clip(twists.get(name, np.zeros(6)), -1.0, 1.0)
            self._move_end_effector(name, twist * self._cartesian_full, elapsed_s, touched)
        self._limit(commanded)
        rate = np.where(self._is_velocity, 0.0, (self.position - before) / elapsed_s)
        return self.position.copy(), rate

    def _move_end_effector(
        self, name: str, twist: FloatArray, elapsed_s: float, touched: set[int]
    ) -> None:
        rows, end_effector = self._rows[name], self._end_effectors[name]
        if not twist.any() or touched.intersection(rows):
            self._poses.pop(name, None)  # the next motion starts from the joints' pose
            return
        joints = self.position[rows]
        pose = self._poses.get(name) or end_effector.kinematics.forward(joints)
        bound = _SPEED_SHARE * self._limits.velocity[rows] * elapsed_s
        step, divisor = twist * elapsed_s, 1.0
        for _ in range(2):
            target = pose.moved(step[:3] / divisor, step[3:] / divisor)
            solution = end_effector.kinematics.solve(target, joints, iterations=8)
            excess = float((np.abs(solution.joints - joints) / bound).max())
            unreached = (
                solution.position_error_m > _UNREACHED_M
                or solution.rotation_error_rad > _UNREACHED_RAD
            )
            if unreached or excess > _SINGULAR:
                self._poses.pop(name, None)
                return
            if excess <= 1.0:
                break
            divisor = excess
        self._poses[name] = target
        self.position[rows] = solution.joints

    def _limit(self, commanded: FloatArray) -> None:
        """Keep the setpoint within the position limits and the largest lead."""
        low = np.maximum(self._limits.lower, commanded - self._max_lead)
        high = np.minimum(self._limits.upper, commanded + self._max_lead)
        # A base is commanded its full speed at once; the executor limits its acceleration.
        low = np.where(self._is_velocity, self._limits.lower, np.minimum(low, high))
        high = np.where(self._is_velocity, self._limits.upper, np.maximum(low, high))
        limited = np.clip(self.position, low, high)
        for name, rows in self._rows.items():
            if not np.array_equal(limited[rows], self.position[rows]):
                self._poses.pop(name, None)
        self.position = limited


def _add(
    target: str,
    share: float,
    names: Sequence[str],
    joint_shares: FloatArray,
    twists: dict[str, FloatArray],
) -> None:
    sign = -1.0 if target.startswith("-") else 1.0
    bare = target.removeprefix("-")
    if bare in names:
        joint_shares[names.index(bare)] += sign * share
        return
    end_effector, _, axis = bare.partition(".")
    twists.setdefault(end_effector, np.zeros(6))[CARTESIAN_AXES.index(axis)] += sign * share


def _index(names: Sequence[str], dimension: str, end_effector: str) -> int:
    if dimension not in names:
        raise ValueError(
            f"end effector {end_effector!r} names dimension {dimension!r}; "
            f"the embodiment has {', '.join(names)}"
        )
    return list(names).index(dimension)
