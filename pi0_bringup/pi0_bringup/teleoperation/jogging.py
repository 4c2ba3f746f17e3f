"""Jogging: shares of a speed, as sticks and keys give them, become a moving setpoint.

Targets that a stick or key moves are written ``left_waist`` (an action dimension) or
``left.x`` (an axis of a hand: x, y, z, roll, pitch, yaw); with a ``-`` in front they move the
other way.
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

#: Axes of a hand, in the world: shifts [m], then turns about the same axes [rad].
HAND_AXES = ("x", "y", "z", "roll", "pitch", "yaw")
#: A hand this far from where it was jogged to has reached the end of its arm [m, rad].
_LOST_M, _LOST_RAD = 0.01, 0.1
#: The share of a joint's velocity limit that a hand may use; beyond it the hand is slower.
_SPEED_SHARE = 0.6
#: Where a joint would have to be this much faster the arm is stretched or folded straight: a
#: hand stops before, because behind it the elbow bends the other way.
_SINGULAR = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JogSpeeds:
    """Speeds at full deflection. ``joint_share``: of a dimension's velocity limit, and of
    a base's own limits; ``linear_m_s`` and ``angular_rad_s``: of a hand.
    ``leash_s``: how far ahead of the commanded pose a joint may be jogged, in seconds of
    its velocity limit.

    Raises ValueError where one is out of range.
    """

    joint_share: float = 0.2
    linear_m_s: float = 0.15
    angular_rad_s: float = 0.6
    leash_s: float = 0.15

    def __post_init__(self) -> None:
        if not 0.0 < self.joint_share <= 1.0:
            raise ValueError(f"joint_share is {self.joint_share}; give a share above 0, up to 1")
        for name in ("linear_m_s", "angular_rad_s", "leash_s"):
            value = getattr(self, name)
            if not 0.0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; give a number above 0")


@dataclass(frozen=True, slots=True)
class Hand:
    """The action dimensions of one arm, in the order of the kinematics' joints."""

    dimensions: tuple[str, ...]
    kinematics: ArmKinematics


class Jog:
    """The setpoint (A,) of an embodiment, moved by shares in -1 .. 1 of named targets.

    Raises ValueError if a hand names a dimension the embodiment does not have.
    """

    def __init__(
        self, embodiment: Embodiment, hands: Mapping[str, Hand], speeds: JogSpeeds
    ) -> None:
        self._names = embodiment.action_names
        self._limits = limits = embodiment.limits
        self._is_velocity = np.array([d.state is None for d in embodiment.action])
        self._hands = dict(hands)
        self._rows = {
            name: [_index(self._names, d, name) for d in hand.dimensions]
            for name, hand in hands.items()
        }
        reach = np.maximum(np.abs(limits.lower), np.abs(limits.upper))
        self._full = speeds.joint_share * np.where(self._is_velocity, reach, limits.velocity)
        self._leash = speeds.leash_s * limits.velocity
        self._hand_full = np.repeat((speeds.linear_m_s, speeds.angular_rad_s), 3)
        self.position: FloatArray = np.zeros(len(self._names))
        self._poses: dict[str, Pose] = {}

    def check(self, target: str) -> None:
        """Raise ValueError if a target is neither a dimension nor an axis of a hand."""
        bare = target.removeprefix("-")
        hand, _, axis = bare.partition(".")
        if bare in self._names or (hand in self._hands and axis in HAND_AXES):
            return
        hands = [f"{name}.{{{','.join(HAND_AXES)}}}" for name in self._hands]
        raise ValueError(
            f"nothing to jog is called {target!r}; there are {', '.join((*self._names, *hands))}"
        )

    def engage(self, commanded: FloatArray) -> None:
        """Begin at the commanded pose (A,)."""
        self.position = np.where(self._is_velocity, 0.0, commanded)
        self._poses.clear()

    def advance(
        self, shares: Mapping[str, float], elapsed_s: float, commanded: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Setpoint and its rate, (A,) each, ``elapsed_s`` later.

        A base's setpoint is a velocity and rests when nothing moves it.
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
        for name in self._hands:
            twist = np.clip(twists.get(name, np.zeros(6)), -1.0, 1.0)
            self._move_hand(name, twist * self._hand_full, elapsed_s, touched)
        self._hold_back(commanded)
        rate = np.where(self._is_velocity, 0.0, (self.position - before) / elapsed_s)
        return self.position.copy(), rate

    def _move_hand(self, name: str, twist: FloatArray, elapsed_s: float, touched: set[int]) -> None:
        rows, hand = self._rows[name], self._hands[name]
        if not twist.any() or touched.intersection(rows):
            self._poses.pop(name, None)  # the next shift begins where the joints are
            return
        joints = self.position[rows]
        pose = self._poses.get(name) or hand.kinematics.forward(joints)
        bound = _SPEED_SHARE * self._limits.velocity[rows] * elapsed_s
        step, slower = twist * elapsed_s, 1.0
        for _ in range(2):
            target = pose.moved(step[:3] / slower, step[3:] / slower)
            solution = hand.kinematics.solve(target, joints, iterations=8)
            haste = float((np.abs(solution.joints - joints) / bound).max())
            lost = solution.position_error_m > _LOST_M or solution.rotation_error_rad > _LOST_RAD
            if lost or haste > _SINGULAR:
                self._poses.pop(name, None)
                return
            if haste <= 1.0:
                break
            slower = haste
        self._poses[name] = target
        self.position[rows] = solution.joints

    def _hold_back(self, commanded: FloatArray) -> None:
        """Neither past the limits nor further ahead of the robot than the leash."""
        low = np.maximum(self._limits.lower, commanded - self._leash)
        high = np.minimum(self._limits.upper, commanded + self._leash)
        # A base is commanded its speed at once; its limits are the executor's to keep.
        low = np.where(self._is_velocity, self._limits.lower, np.minimum(low, high))
        high = np.where(self._is_velocity, self._limits.upper, np.maximum(low, high))
        held = np.clip(self.position, low, high)
        for name, rows in self._rows.items():
            if not np.array_equal(held[rows], self.position[rows]):
                self._poses.pop(name, None)
        self.position = held


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
    hand, _, axis = bare.partition(".")
    twists.setdefault(hand, np.zeros(6))[HAND_AXES.index(axis)] += sign * share


def _index(names: Sequence[str], dimension: str, hand: str) -> int:
    if dimension not in names:
        raise ValueError(
            f"hand {hand!r} names dimension {dimension!r}; the embodiment has {', '.join(names)}"
        )
    return list(names).index(dimension)
