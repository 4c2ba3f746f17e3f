"""The mapping from the joints of an Interbotix driver to gym-aloha's ViperX arms.

gym-aloha's action has 14 numbers: for each side six joint angles [rad] and a gripper opening
(0 closed, 1 open). The driver of one arm publishes nine joints: the same six, ``gripper`` (the
servo [rad]) and the two fingers [m]. Each of the last three gives the position of the gripper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gym_aloha import constants
from numpy.typing import NDArray

from pi0_ros.embodiment import Embodiment

SIDES = ("left", "right")
ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
#: Joints of one arm in the order of the driver's messages.
DRIVER_JOINTS = (*ARM_JOINTS, "gripper", "left_finger", "right_finger")

#: Scene camera of gym-aloha that fills each slot of the model.
CAMERA_OF_SLOT = {
    "base_0_rgb": "top",
    "left_wrist_0_rgb": "left_wrist",
    "right_wrist_0_rgb": "right_wrist",
}

#: Servo angle per metre of finger travel [rad/m].
GRIPPER_RAD_PER_M = (constants.PUPPET_GRIPPER_JOINT_OPEN - constants.PUPPET_GRIPPER_JOINT_CLOSE) / (
    constants.PUPPET_GRIPPER_POSITION_OPEN - constants.PUPPET_GRIPPER_POSITION_CLOSE
)

_OPENING: dict[str, Callable[[float], float]] = {
    "gripper": constants.normalize_puppet_gripper_joint,
    "left_finger": constants.normalize_puppet_gripper_position,
    "right_finger": lambda metres: constants.normalize_puppet_gripper_position(-metres),
}
_RAW: dict[str, Callable[[float], float]] = {
    "gripper": constants.unnormalize_puppet_gripper_joint,
    "left_finger": constants.unnormalize_puppet_gripper_position,
    "right_finger": lambda opening: -constants.unnormalize_puppet_gripper_position(opening),
}


def gripper_angle(finger_m: float) -> float:
    """Servo angle [rad] for a position of the left finger [m]."""
    travel_m = finger_m - constants.PUPPET_GRIPPER_POSITION_CLOSE
    return float(constants.PUPPET_GRIPPER_JOINT_CLOSE + GRIPPER_RAD_PER_M * travel_m)


def side_of(topic: str, embodiment: Embodiment) -> str:
    """The side of an arm's topic, by ``left`` or ``right`` in its name.

    Raises ValueError if the name has neither or both.
    """
    sides = [side for side in SIDES if side in topic]
    if len(sides) != 1:
        raise ValueError(
            f"{embodiment.path}: topic {topic!r} names no single arm; the simulated ViperX "
            f"pair needs exactly one of {' and '.join(SIDES)} in every topic of an arm"
        )
    return sides[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class JointMapping:
    """Maps one action dimension of the embodiment to gym-aloha's action vector and back.

    ``gym_action[index] = convert((value - offset) / scale)`` and
    ``value = scale * invert(gym_action[index]) + offset``. ``side`` and ``joint`` name the joint
    of the driver.
    """

    index: int
    side: str
    joint: str
    scale: float
    offset: float
    convert: Callable[[float], float]
    invert: Callable[[float], float]


def joint_mappings(embodiment: Embodiment) -> tuple[JointMapping, ...]:
    """The mapping of each action dimension, in embodiment order.

    Raises ValueError that names the dimension whose joint the arms do not have, or the joints if
    one is missing or commanded twice.
    """
    topics = {name: c.topic for c in embodiment.controllers for name in c.dimensions}
    mappings: list[JointMapping] = []
    for dimension in embodiment.action:
        side = side_of(topics[dimension.name], embodiment)
        if dimension.joint not in DRIVER_JOINTS:
            raise ValueError(
                f"{embodiment.path}: action {dimension.name!r} commands joint "
                f"{dimension.joint!r}; the simulated ViperX has {', '.join(DRIVER_JOINTS)}"
            )
        is_arm = dimension.joint in ARM_JOINTS
        within = ARM_JOINTS.index(dimension.joint) if is_arm else len(ARM_JOINTS)
        mapping = JointMapping(
            index=SIDES.index(side) * (len(ARM_JOINTS) + 1) + within,
            side=side,
            joint=dimension.joint,
            scale=dimension.scale,
            offset=dimension.offset,
            convert=float if is_arm else _OPENING[dimension.joint],
            invert=float if is_arm else _RAW[dimension.joint],
        )
        mappings.append(mapping)
    if sorted(mapping.index for mapping in mappings) != list(range(2 * (len(ARM_JOINTS) + 1))):
        raise ValueError(
            f"{embodiment.path}: the actions command {[f'{w.side} {w.joint}' for w in mappings]}; "
            f"the simulated ViperX pair needs each of {', '.join(ARM_JOINTS)} and one gripper "
            "joint once per side"
        )
    return tuple(mappings)


def to_gym(mappings: tuple[JointMapping, ...], action: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert an action (A,) in embodiment order and units to gym-aloha's (A,)."""
    gym_action = np.zeros(len(mappings))
    for mapping, value in zip(mappings, action, strict=True):
        gym_action[mapping.index] = mapping.convert((value - mapping.offset) / mapping.scale)
    return gym_action


def from_gym(
    mappings: tuple[JointMapping, ...], gym_action: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Convert gym-aloha's actions (..., A) to embodiment order and units (..., A)."""
    columns = []
    for mapping in mappings:
        # Every conversion is linear, so two points define it.
        at_zero = mapping.scale * mapping.invert(0.0) + mapping.offset
        slope = mapping.scale * (mapping.invert(1.0) - mapping.invert(0.0))
        columns.append(at_zero + slope * gym_action[..., mapping.index])
    return np.stack(columns, axis=-1)


def state_topics(embodiment: Embodiment) -> dict[str, str]:
    """The side of the arm that publishes each joint-state topic.

    Raises ValueError if the embodiment expects a joint that the arms do not have.
    """
    for dimension in embodiment.state:
        if dimension.joint not in DRIVER_JOINTS:
            raise ValueError(
                f"{embodiment.path}: state {dimension.name!r} reads joint {dimension.joint!r}; "
                f"the simulated ViperX publishes {', '.join(DRIVER_JOINTS)}"
            )
    return {d.topic: side_of(d.topic, embodiment) for d in embodiment.state}
