"""How the joints an Interbotix driver names map to gym-aloha's ViperX arms.

gym-aloha commands 14 numbers: per side six joint angles [rad] and a gripper
opening (0 closed, 1 open). The driver of one arm publishes nine joints: the six,
``gripper`` (the servo, rad) and the two fingers [m]; any of the last three says
where the gripper is.
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
    """Servo angle [rad] at which the left finger is at ``finger_m``."""
    travel_m = finger_m - constants.PUPPET_GRIPPER_POSITION_CLOSE
    return float(constants.PUPPET_GRIPPER_JOINT_CLOSE + GRIPPER_RAD_PER_M * travel_m)


def side_of(topic: str, embodiment: Embodiment) -> str:
    """The arm a driver topic belongs to, by ``left`` or ``right`` in its name.

    Raises ValueError if the topic names neither or both.
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
    """One action dimension on its way to gym-aloha's action vector.

    ``gym = convert((value - offset) / scale)``, put at ``index``, and
    ``value = scale * invert(gym) + offset``; ``side`` and ``joint`` name the driver's joint.
    """

    index: int
    side: str
    joint: str
    scale: float
    offset: float
    convert: Callable[[float], float]
    invert: Callable[[float], float]


def joint_mappings(embodiment: Embodiment) -> tuple[JointMapping, ...]:
    """One mapping for each action dimension, in embodiment order.

    Raises ValueError naming the dimension whose joint the arms do not have, or
    the joint that two dimensions command.
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
    """gym-aloha's action vector (A,) of an action (A,) in embodiment order and units."""
    gym_action = np.zeros(len(mappings))
    for mapping, value in zip(mappings, action, strict=True):
        gym_action[mapping.index] = mapping.convert((value - mapping.offset) / mapping.scale)
    return gym_action


def from_gym(
    mappings: tuple[JointMapping, ...], gym_action: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Actions (..., A) in embodiment order and units of gym-aloha's (..., A)."""
    columns = []
    for mapping in mappings:
        # Every conversion is linear: two points give its line.
        at_zero = mapping.scale * mapping.invert(0.0) + mapping.offset
        slope = mapping.scale * (mapping.invert(1.0) - mapping.invert(0.0))
        columns.append(at_zero + slope * gym_action[..., mapping.index])
    return np.stack(columns, axis=-1)


def state_topics(embodiment: Embodiment) -> dict[str, str]:
    """Side of the arm behind each joint-state topic.

    Raises ValueError if the embodiment expects a joint that the arms do not have.
    """
    for dimension in embodiment.state:
        if dimension.joint not in DRIVER_JOINTS:
            raise ValueError(
                f"{embodiment.path}: state {dimension.name!r} reads joint {dimension.joint!r}; "
                f"the simulated ViperX publishes {', '.join(DRIVER_JOINTS)}"
            )
    return {d.topic: side_of(d.topic, embodiment) for d in embodiment.state}
