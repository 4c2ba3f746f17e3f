"""Base class of the nodes that jog a robot, and their parameters.

Beside the fields of :class:`JogSpeeds` there are:

- ``model``: path of an MJCF or URDF file, ``gym_aloha`` for the simulated ViperX pair, or "" to
  jog joints only;
- ``end_effectors``: names; for each one ``NAME.dimensions``, ``NAME.joints`` (of the model),
  ``NAME.frame`` (a body of the model) and ``NAME.tool`` (from that body to the moved point [m]);
- ``layers``: names; a subclass says what describes each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rclpy.parameter import Parameter

from pi0_bringup.teleoperation.jogging import EndEffector, Jog, JogSpeeds
from pi0_bringup.teleoperation.layers import Layer, Layers, default_layers
from pi0_bringup.teleoperation.source import Setpoint, TeleopSource
from pi0_ros.arrays import FloatArray


class JogSource(TeleopSource):
    """Jogs by the :meth:`shares` of targets. A subclass also reads its layers: :meth:`layer`."""

    declares_in_setup = True  # the parameters of each named end effector and layer

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        for field in fields(JogSpeeds):
            self.declare_parameter(field.name, field.default)
        self.declare_parameter("model", "")

    def layer(self, name: str) -> Layer:
        """The layer that the parameters of this name describe."""
        raise NotImplementedError

    def shares(self, now_ns: int) -> Mapping[str, float]:
        """The share of each target that moves now, in -1 .. 1."""
        raise NotImplementedError

    def prepare(self) -> None:
        self._jog = Jog(self.robot, self._end_effectors(), self._speeds())
        layers = [self.layer(name) for name in self.strings("layers")] or default_layers(self.robot)
        self.layers = Layers(layers, self.robot.action_names, self._jog.check)

    def engage(self, commanded: FloatArray, now_ns: int) -> None:
        self._jog.engage(commanded)

    def advance(self, now_ns: int, elapsed_s: float) -> Setpoint:
        commanded = self.commanded
        assert commanded is not None  # problem() has checked it
        position, velocity = self._jog.advance(self.shares(now_ns), elapsed_s, commanded)
        return Setpoint(self.robot.action_names, position, velocity)

    def strings(self, name: str) -> list[str]:
        """The parameter of this name, a list of strings; empty if it is not set."""
        if not self.has_parameter(name):
            self.declare_parameter(name, Parameter.Type.STRING_ARRAY)
        return list(self.get_parameter_or(name, Parameter(name, value=[])).value or [])

    def _speeds(self) -> JogSpeeds:
        return JogSpeeds(**{f.name: self.get_parameter(f.name).value for f in fields(JogSpeeds)})

    def _end_effectors(self) -> dict[str, EndEffector]:
        names = self.strings("end_effectors")
        path = self.get_parameter("model").value
        if not names:
            return {}
        if not path:
            raise ValueError(
                f"end_effectors are {', '.join(names)} and model is empty; give the path of an "
                "MJCF or URDF file, or gym_aloha for the simulated ViperX pair"
            )
        # MuJoCo is imported for end effectors only: joints can be jogged without it.
        from pi0_bringup.teleoperation.kinematics import load_model

        model = load_model(_model_path(path))
        return {name: self._end_effector(model, name) for name in names}

    def _end_effector(self, model: Any, name: str) -> EndEffector:
        from pi0_bringup.teleoperation.kinematics import ArmKinematics

        dimensions, joints = self.strings(f"{name}.dimensions"), self.strings(f"{name}.joints")
        if not dimensions or len(dimensions) != len(joints):
            raise ValueError(
                f"{name}.dimensions names {len(dimensions)} and {name}.joints {len(joints)}; "
                "give one joint of the model for each action dimension"
            )
        for key, default in ((f"{name}.frame", ""), (f"{name}.tool", [0.0, 0.0, 0.0])):
            if not self.has_parameter(key):
                self.declare_parameter(key, default)
        frame = self.get_parameter(f"{name}.frame").value
        tool = list(self.get_parameter(f"{name}.tool").value)
        if len(tool) != 3:
            raise ValueError(f"{name}.tool is {tool}; give x, y and z in m")
        return EndEffector(tuple(dimensions), ArmKinematics(model, joints, frame, tool))


def _model_path(text: str) -> Path:
    if text != "gym_aloha":
        return Path(text).expanduser()
    from gym_aloha.constants import ASSETS_DIR

    return Path(ASSETS_DIR) / "bimanual_viperx_transfer_cube.xml"
