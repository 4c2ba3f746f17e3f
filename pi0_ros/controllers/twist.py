"""``twist``: the velocity of a mobile base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.controllers.kind import (
    CommandWriter,
    ControllerKind,
    DimensionFacts,
    StopBehaviour,
)
from pi0_ros.controllers.mock import CommandError, MockController
from pi0_ros.controllers.packer import ControllerPacker
from pi0_ros.messages import message_class
from pi0_ros.stamps import sec_nanosec

#: Axes of a twist, as the ``joint`` of a base velocity names them.
AXES = ("linear.x", "linear.y", "linear.z", "angular.x", "angular.y", "angular.z")


class Twist(ControllerKind):
    """geometry_msgs/TwistStamped in the controller's frame (REP 103 axes)."""

    name = "twist"
    message_type = "geometry_msgs/msg/TwistStamped"
    stops = (StopBehaviour.RAMP_TO_ZERO,)
    is_velocity = True

    def problems(self, facts: DimensionFacts) -> Iterator[tuple[str, str]]:
        if facts.joint not in AXES:
            yield (
                "joint",
                f"{facts.joint!r} is not an axis of a twist; use one of {', '.join(AXES)}",
            )
            return
        expected = "m/s" if facts.joint.startswith("linear") else "rad/s"
        if facts.unit != expected:
            yield "unit", f"{facts.unit!r} for {facts.joint}; use {expected}"
        lower, upper = facts.lower, facts.upper
        if lower is None or upper is None or lower >= upper:
            return
        if not lower <= 0.0 <= upper:
            yield (
                "limits",
                f"{lower:g}..{upper:g} excludes 0, so the base could not stop; include it",
            )

    def writer(self, packer: ControllerPacker) -> CommandWriter:
        return _Writer(packer, message_class(self.message_type)())

    def read(self, packer: ControllerPacker, message: Any) -> FloatArray:
        return np.array([_axis(message, joint) for joint in packer.joints], dtype=np.float64)

    def mock(self, packer: ControllerPacker, start: FloatArray, timeout_s: float) -> MockController:
        return _MockBase(self, packer, start, timeout_s)


class _Writer:
    def __init__(self, packer: ControllerPacker, message: Any) -> None:
        self._packer, self._message = packer, message
        self._message.header.frame_id = packer.frame_id
        self._axes = [
            (getattr(self._message.twist, group), axis)
            for group, axis in (joint.split(".") for joint in packer.joints)
        ]

    def fill(self, command: FloatArray, _velocity: FloatArray, now_ns: int) -> Any:
        """Axes that the robot does not have stay zero."""
        stamp = self._message.header.stamp
        stamp.sec, stamp.nanosec = sec_nanosec(now_ns)
        for (vector, axis), value in zip(self._axes, self._packer.raw(command), strict=True):
            setattr(vector, axis, float(value))
        return self._message


class _MockBase(MockController):
    """Drives until the last command is older than the timeout, as diff_drive_controller does."""

    numbers = "twist"

    def reset(self, setpoint: FloatArray) -> None:
        super().reset(setpoint)
        self._until_s: float | None = None

    def receive(self, message: Any, now_s: float) -> None:
        joints = self._packer.joints
        for axis in AXES:
            speed = _axis(message, axis)
            if speed != 0.0 and axis not in joints:
                raise CommandError(f"{axis} is {speed}; this base moves along {', '.join(joints)}")
        super().receive(message, now_s)
        self._until_s = now_s + self._timeout_s

    def sample(self, now_s: float) -> FloatArray:
        if self._until_s is not None and now_s > self._until_s:
            self._setpoint = np.zeros_like(self._setpoint)
        return self._setpoint


def _axis(message: Any, name: str) -> float:
    group, axis = name.split(".")
    return float(getattr(getattr(message.twist, group), axis))
