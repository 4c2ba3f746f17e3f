"""Node parameters of jogging: speeds, and the end effectors with their kinematics.

Beside the fields of :class:`JogSpeeds` there are:

- ``model``: path of an MJCF or URDF file, ``gym_aloha`` for the simulated ViperX pair, or "" to
  jog joints only;
- ``end_effectors``: names; for each one ``NAME.dimensions``, ``NAME.joints`` (of the model),
  ``NAME.frame`` (a body of the model) and ``NAME.tool`` (from that body to the moved point [m]).
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from pi0_bringup.teleoperation.jogging import EndEffector, Jog, JogSpeeds
from pi0_ros.embodiment import Embodiment


def declare_jog_parameters(node: Node) -> None:
    """Declare what :func:`jog_from_parameters` reads."""
    for field in fields(JogSpeeds):
        node.declare_parameter(field.name, field.default)
    node.declare_parameter("model", "")
    node.declare_parameter("end_effectors", Parameter.Type.STRING_ARRAY)


def strings(node: Node, name: str) -> list[str]:
    """A list of strings; empty if it is not set."""
    if not node.has_parameter(name):
        node.declare_parameter(name, Parameter.Type.STRING_ARRAY)
    return list(node.get_parameter_or(name, Parameter(name, value=[])).value or [])


def jog_from_parameters(node: Node, embodiment: Embodiment) -> Jog:
    """The jog that the node's parameters describe. Raises ValueError on a bad one."""
    speeds = JogSpeeds(**{f.name: node.get_parameter(f.name).value for f in fields(JogSpeeds)})
    names = strings(node, "end_effectors")
    path = node.get_parameter("model").value
    if not names:
        return Jog(embodiment, {}, speeds)
    if not path:
        raise ValueError(
            f"end_effectors are {', '.join(names)} and model is empty; give the path of an MJCF "
            "or URDF file, or gym_aloha for the simulated ViperX pair"
        )
    # MuJoCo is imported for end effectors only: joints can be jogged without it.
    from pi0_bringup.teleoperation.kinematics import load_model

    model = load_model(_resolved(path))
    return Jog(embodiment, {name: _end_effector(node, model, name) for name in names}, speeds)


def _resolved(path: str) -> Path:
    if path != "gym_aloha":
        return Path(path).expanduser()
    from gym_aloha.constants import ASSETS_DIR

    return Path(ASSETS_DIR) / "bimanual_viperx_transfer_cube.xml"


def _end_effector(node: Node, model: Any, name: str) -> EndEffector:
    from pi0_bringup.teleoperation.kinematics import ArmKinematics

    dimensions = strings(node, f"{name}.dimensions")
    joints = strings(node, f"{name}.joints")
    if not dimensions or len(dimensions) != len(joints):
        raise ValueError(
            f"{name}.dimensions names {len(dimensions)} and {name}.joints {len(joints)}; "
            "give one joint of the model for each action dimension"
        )
    for key, default in ((f"{name}.frame", ""), (f"{name}.tool", [0.0, 0.0, 0.0])):
        if not node.has_parameter(key):
            node.declare_parameter(key, default)
    frame = node.get_parameter(f"{name}.frame").value
    tool = list(node.get_parameter(f"{name}.tool").value)
    if len(tool) != 3:
        raise ValueError(f"{name}.tool is {tool}; give x, y and z in m")
    return EndEffector(tuple(dimensions), ArmKinematics(model, joints, frame, tool))
