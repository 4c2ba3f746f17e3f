"""ALOHA transforms: from the robot's conventions to those of a checkpoint, and back.

π's action space has its own joint directions and gripper units. Checkpoints that openpi trained
with ``adapt_to_pi`` use them, and their manifest says so in ``robot_transform``. Checkpoints
trained from recordings of this suite use the robot's conventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import ActionDimension, Embodiment, StateDimension
from pi0_ros.policy.errors import PolicyError

#: Directions of two ViperX arms in π's action space, by model slot: left joints and gripper, then
#: right joints and gripper. This and all numbers below come from openpi's ``aloha_policy``.
ALOHA_SIGNS = (1, -1, -1, 1, 1, 1, 1, 1, -1, -1, 1, 1, 1, 1)
ALOHA_GRIPPERS = (6, 13)

# Finger position at opening 0 and 1 [m], and the linkage that moves it [m].
_CLOSED_M, _OPEN_M = 0.01844, 0.05800
_HORN_M, _ARM_M = 0.022, 0.036
# Motor angle at opening 0 and 1 of an action [rad].
_ACTION_CLOSED_RAD, _ACTION_OPEN_RAD = -0.6213, 1.4910
# The linkage formula divides by the position; a finger is always further out than this [m].
_LEAST_M = 1e-3


@dataclass(frozen=True, slots=True)
class GripperScale:
    """The motor angle of a value in π's scale: ``zero_rad + value * span`` [rad]."""

    zero_rad: float
    state_span_rad: float
    action_span_rad: float


#: openpi: state 0 and 1 are the encoder counts 2405 and 3110 of 4096; an action is the angle from
#: state 0.
OPENPI_SCALE = GripperScale(0.5476, 1.6296 - 0.5476, 1.0)
#: LeRobot up to 0.3 and early openpi: 0 and 1 are 0.4 and 1.5 rad, in state and action.
LEROBOT_SCALE = GripperScale(0.4, 1.5 - 0.4, 1.5 - 0.4)


class RobotTransform(Protocol):
    """Vectors (..., D) of a robot, in embodiment order."""

    def forward(self, values: FloatArray) -> FloatArray:
        """Convert from the robot's convention to the checkpoint's."""

    def inverse(self, values: FloatArray) -> FloatArray:
        """Convert from the checkpoint's convention to the robot's."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """For a checkpoint trained in the robot's own conventions."""

    def forward(self, values: FloatArray) -> FloatArray:
        """The same values."""
        return values

    def inverse(self, values: FloatArray) -> FloatArray:
        """The same values."""
        return values


@dataclass(frozen=True, slots=True)
class AlohaState:
    """Converts joint directions, and gripper openings (0 closed, 1 open) to π's angle scale.

    ``sign`` (D,) is the direction of each joint. ``gripper`` (D,) is true where the value is an
    opening. :class:`AlohaActions` has another scale. Openings above 1 count as 1.
    """

    sign: FloatArray
    gripper: NDArray[np.bool_]
    scale: GripperScale = OPENPI_SCALE

    def forward(self, values: FloatArray) -> FloatArray:
        """Convert a measured state (..., D) to π's."""
        scaled = (_opening_to_angle(values) - self.scale.zero_rad) / self.scale.state_span_rad
        return np.where(self.gripper, scaled, self.sign * values)

    def inverse(self, values: FloatArray) -> FloatArray:
        """Convert π's state (..., D) to a measured one."""
        angle = values * self.scale.state_span_rad + self.scale.zero_rad
        return np.where(self.gripper, _angle_to_opening(angle), self.sign * values)


@dataclass(frozen=True, slots=True)
class AlohaActions:
    """Converts joint directions, and gripper openings (0 closed, 1 open) to π's scale of actions.

    ``sign`` (D,) is the direction of each joint. ``gripper`` (D,) is true where the value is an
    opening.
    """

    sign: FloatArray
    gripper: NDArray[np.bool_]
    scale: GripperScale = OPENPI_SCALE

    def forward(self, values: FloatArray) -> FloatArray:
        """Convert recorded actions (..., D) to the actions that π learns."""
        angle = values * (_ACTION_OPEN_RAD - _ACTION_CLOSED_RAD) + _ACTION_CLOSED_RAD
        scaled = (angle - self.scale.zero_rad) / self.scale.action_span_rad
        return np.where(self.gripper, scaled, self.sign * values)

    def inverse(self, values: FloatArray) -> FloatArray:
        """Convert π's actions (..., D) to the robot's."""
        angle = values * self.scale.action_span_rad + self.scale.zero_rad
        opening = (angle - _ACTION_CLOSED_RAD) / (_ACTION_OPEN_RAD - _ACTION_CLOSED_RAD)
        return np.where(self.gripper, opening, self.sign * values)


def robot_transforms(kind: str, embodiment: Embodiment) -> tuple[RobotTransform, RobotTransform]:
    """Transforms of state and actions for a manifest's ``robot_transform``.

    Raises :class:`PolicyError` for an unknown kind, and for a robot that the kind does not fit.
    """
    if kind == "none":
        return Unchanged(), Unchanged()
    scale = {"aloha": OPENPI_SCALE, "aloha_lerobot": LEROBOT_SCALE}.get(kind)
    if scale is None:
        raise PolicyError(f"robot_transform is {kind!r}; use none, aloha or aloha_lerobot")
    state, actions = (
        _aloha(dimensions, embodiment.name) for dimensions in (embodiment.state, embodiment.action)
    )
    return AlohaState(*state, scale), AlohaActions(*actions, scale)


def _aloha(
    dimensions: Sequence[StateDimension | ActionDimension], name: str
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Sign (D,) and gripper (D,) by model slot; dimensions beyond the arms (a base) keep theirs."""
    slots = [dimension.slots.checkpoint for dimension in dimensions]
    absent = set(range(len(ALOHA_SIGNS))) - set(slots)
    if absent:
        raise PolicyError(
            f"robot_transform is aloha and {name} has nothing in model slots {sorted(absent)}:"
            " it is for two arms of six joints with grippers"
        )
    sign = [ALOHA_SIGNS[slot] if slot < len(ALOHA_SIGNS) else 1 for slot in slots]
    return np.array(sign, dtype=np.float64), np.isin(slots, ALOHA_GRIPPERS)


def _opening_to_angle(opening: FloatArray) -> FloatArray:
    finger_m = np.maximum(opening * (_OPEN_M - _CLOSED_M) + _CLOSED_M, _LEAST_M)
    sine = (_HORN_M**2 + finger_m**2 - _ARM_M**2) / (2 * _HORN_M * finger_m)
    angle: FloatArray = np.arcsin(np.clip(sine, -1.0, 1.0))
    return angle


def _angle_to_opening(angle: FloatArray) -> FloatArray:
    """Solves the linkage for the finger's position."""
    along = _HORN_M * np.sin(angle)
    finger_m = along + np.sqrt(along**2 + _ARM_M**2 - _HORN_M**2)
    opening: FloatArray = (finger_m - _CLOSED_M) / (_OPEN_M - _CLOSED_M)
    return opening
