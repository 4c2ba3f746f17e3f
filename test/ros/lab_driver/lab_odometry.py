"""The one file of a package that adds a state source: where a base is by its odometry."""

from __future__ import annotations

import math
from typing import Any

from pi0_ros.messages import message_class
from pi0_ros.state_sources import JointReading, StateSource


class LabOdometry(StateSource):
    """nav_msgs/Odometry as the joints ``x``, ``y`` [m] and ``yaw`` [rad]."""

    message_type = "nav_msgs/msg/Odometry"

    def read(self, message: Any) -> JointReading:
        pose, twist = message.pose.pose, message.twist.twist
        yaw = 2.0 * math.atan2(pose.orientation.z, pose.orientation.w)
        return JointReading(
            ("x", "y", "yaw"),
            (pose.position.x, pose.position.y, yaw),
            (twist.linear.x, twist.linear.y, twist.angular.z),
        )

    def make(self, reading: JointReading) -> Any:
        message = message_class(self.message_type)()
        pose, twist = message.pose.pose, message.twist.twist
        at = dict(zip(reading.names, map(float, reading.position), strict=True))
        pose.position.x, pose.position.y = at.get("x", 0.0), at.get("y", 0.0)
        pose.orientation.z = math.sin(at.get("yaw", 0.0) / 2.0)
        pose.orientation.w = math.cos(at.get("yaw", 0.0) / 2.0)
        if len(reading.velocity):
            speed = dict(zip(reading.names, map(float, reading.velocity), strict=True))
            twist.linear.x, twist.linear.y = speed.get("x", 0.0), speed.get("y", 0.0)
            twist.angular.z = speed.get("yaw", 0.0)
        return message
