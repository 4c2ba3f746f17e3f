"""The hands a jogging node can move: kinematics named by its parameters.

Parameters, beside those of :class:`JogSpeeds`: ``model``, the path of an MJCF or URDF file,
``gym_aloha`` for the simulated ViperX pair, or empty for joints only; ``hands``, their names;
and for each hand ``<hand>.dimensions``, ``<hand>.joints`` (in the model), ``<hand>.frame``
(a body of the model) and ``<hand>.tool`` (from that body to the point that is moved [m]).
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from pi0_bringup.teleoperation.jogging import Hand, Jog, JogSpeeds
from pi0_ros.embodiment import Embodiment


def declare_jog_parameters(node: Node) -> None:
    """Declare what :func:`jog_from_parameters` reads."""
    for field in fields(JogSpeeds):
        node.declare_parameter(field.name, field.default)
    node.declare_parameter("model", "")
    node.declare_parameter("hands", Parameter.Type.STRING_ARRAY)


def strings(node: Node, name: str) -> list[str]:
    """A list of strings; empty where it is not set."""
    if not node.has_parameter(name):
        node.declare_parameter(name, Parameter.Type.STRING_ARRAY)
    return list(node.get_parameter_or(name, Parameter(name, value=[])).value or [])


def jog_from_parameters(node: Node, embodiment: Embodiment) -> Jog:
    """The jog that the node's parameters describe. Raises ValueError on a bad one."""
    speeds = JogSpeeds(**{f.name: node.get_parameter(f.name).value for f in fields(JogSpeeds)})
    names = strings(node, "hands")
    path = node.get_parameter("model").value
    if not names:
        return Jog(embodiment, {}, speeds)
    if not path:
        raise ValueError(
            f"hands are {', '.join(names)} and model is empty; give the path of an MJCF or URDF "
            "file, or gym_aloha for the simulated ViperX pair"
        )
    # MuJoCo is loaded where hands are asked for: joints can be jogged without it.
    from pi0_bringup.teleoperation.kinematics import load_model

    model = load_model(_resolved(path))
    return Jog(embodiment, {name: _hand(node, model, name) for name in names}, speeds)


def _resolved(path: str) -> Path:
    if path != "gym_aloha":
        return Path(path).expanduser()
    from gym_aloha.constants import ASSETS_DIR

    return Path(ASSETS_DIR) / "bimanual_viperx_transfer_cube.xml"


def _hand(node: Node, model: Any, name: str) -> Hand:
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
    return Hand(tuple(dimensions), ArmKinematics(model, joints, frame, tool))
