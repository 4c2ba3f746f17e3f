"""From a command in embodiment order to the messages of each kind of controller.

A writer fills one message it owns, again and again; publish it before the next fill.
"""

from __future__ import annotations

from array import array
from typing import Any, Protocol

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Controller, ControllerKind, Embodiment
from pi0_ros.embodiment.packing import ControllerPacker, controller_packer
from pi0_ros.stamps import NS_PER_S, sec_nanosec


class CommandWriter(Protocol):
    """Fills the message of one controller from a command (A,) and its tangent velocity (A,)."""

    message_type: type

    def fill(self, command: FloatArray, velocity: FloatArray, now_ns: int) -> Any:
        """The message to publish at ``now_ns`` on the ROS clock."""


def command_writer(embodiment: Embodiment, controller: Controller) -> CommandWriter:
    """The writer for a controller, by its kind."""
    packer = controller_packer(embodiment, controller)
    if controller.kind is ControllerKind.JOINT_TRAJECTORY:
        return TrajectoryWriter(packer, embodiment)
    if controller.kind is ControllerKind.TWIST:
        return TwistWriter(packer)
    return PositionWriter(packer)


class PositionWriter:
    """std_msgs/Float64MultiArray in controller order and driver units.

    For forward_command_controller, as arm (``forward_position``) and as ``gripper``.
    """

    message_type = Float64MultiArray

    def __init__(self, packer: ControllerPacker) -> None:
        self._packer = packer
        self._message = Float64MultiArray()

    def fill(self, command: FloatArray, _velocity: FloatArray, _now_ns: int) -> Float64MultiArray:
        """Positions only; the controller forwards them as they are."""
        self._message.data = _doubles(self._packer.raw(command))
        return self._message


class TrajectoryWriter:
    """trajectory_msgs/JointTrajectory: the setpoint one period ahead, then a stop point.

    joint_trajectory_controller interpolates with a cubic only between points that carry
    velocities. With the tangent of the commanded motion for velocity, that cubic has its
    acceleration; accelerations as well would make it a quintic, which gains nothing where
    they are known no better.

    By default (``allow_nonzero_velocity_at_trajectory_end: false``) the controller refuses a
    trajectory that does not end at rest. The stop point satisfies it and is what the arm does
    should the next message never come: it brakes within the limits. The stamp stays zero:
    begin on arrival.
    """

    message_type = JointTrajectory

    def __init__(self, packer: ControllerPacker, embodiment: Embodiment) -> None:
        self._packer = packer
        limits, own = embodiment.limits, packer.indices
        self._acceleration = limits.acceleration[own]
        self._lower, self._upper = limits.lower[own], limits.upper[own]
        self._period_s = 1.0 / embodiment.rates.control_hz
        self._still = array("d", [0.0] * len(own))
        self._setpoint = JointTrajectoryPoint(time_from_start=_duration(self._period_s))
        self._stop = JointTrajectoryPoint(velocities=self._still)
        self._stopped_at = self._stop.time_from_start
        self._message = JointTrajectory(joint_names=list(packer.joints))

    def fill(self, command: FloatArray, velocity: FloatArray, _now_ns: int) -> JointTrajectory:
        """One point at rest, two while moving."""
        packer = self._packer
        here, own = command[packer.indices], velocity[packer.indices]
        self._setpoint.positions = _doubles(packer.raw_of(here))
        if not own.any():
            self._setpoint.velocities = self._still
            self._message.points = [self._setpoint]
            return self._message
        self._setpoint.velocities = _doubles(packer.raw_rate_of(own))
        brake_s = max(float((np.abs(own) / self._acceleration).max()), self._period_s)
        # From outside the bounds it stops on the way back in, and does not jump to them.
        lower, upper = np.minimum(self._lower, here), np.maximum(self._upper, here)
        ahead = np.minimum(np.maximum(here + own * (0.5 * brake_s), lower), upper)
        self._stop.positions = _doubles(packer.raw_of(ahead))
        stop_ns = round((self._period_s + brake_s) * NS_PER_S)
        self._stopped_at.sec, self._stopped_at.nanosec = sec_nanosec(stop_ns)
        self._message.points = [self._setpoint, self._stop]
        return self._message


class TwistWriter:
    """geometry_msgs/TwistStamped in the controller's frame (REP 103 axes)."""

    message_type = TwistStamped

    def __init__(self, packer: ControllerPacker) -> None:
        self._packer = packer
        self._message = TwistStamped()
        self._message.header.frame_id = packer.controller.frame_id
        self._axes = [
            (getattr(self._message.twist, group), axis)
            for group, axis in (joint.split(".") for joint in packer.joints)
        ]

    def fill(self, command: FloatArray, _velocity: FloatArray, now_ns: int) -> TwistStamped:
        """Axes the robot does not have stay zero."""
        stamp = self._message.header.stamp
        stamp.sec, stamp.nanosec = sec_nanosec(now_ns)
        for (vector, axis), value in zip(self._axes, self._packer.raw(command), strict=True):
            setattr(vector, axis, float(value))
        return self._message


def _doubles(values: FloatArray) -> array[float]:
    """An ``array('d')``, which rclpy takes without looking at every element."""
    return array("d", values.tobytes())


def _duration(seconds: float) -> Duration:
    sec, nanosec = sec_nanosec(round(seconds * NS_PER_S))
    return Duration(sec=sec, nanosec=nanosec)
