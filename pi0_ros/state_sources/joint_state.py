"""sensor_msgs/JointState, as joint_state_broadcaster sends it."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from pi0_ros.messages import message_class
from pi0_ros.state_sources.source import JointReading, StateSource


class JointState(StateSource):
    """Joints by name, with position, velocity and effort."""

    message_type = "sensor_msgs/msg/JointState"

    def read(self, message: Any) -> JointReading:
        return JointReading(message.name, message.position, message.velocity, message.effort)

    def make(self, reading: JointReading) -> Any:
        names, *fields = reading
        position, velocity, effort = (array("d", np.asarray(f, np.float64)) for f in fields)
        return message_class(self.message_type)(
            name=list(names), position=position, velocity=velocity, effort=effort
        )
