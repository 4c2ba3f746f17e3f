"""What a state source has to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple


class JointReading(NamedTuple):
    """J joints as a driver measured them, in its order and units.

    A field is a list or an array of J numbers, or it is empty.
    """

    names: Sequence[str]
    position: Any = ()
    velocity: Any = ()
    effort: Any = ()


class StateSource:
    """One message type that measures the robot; a subclass reads it and makes it.

    The message must begin with a std_msgs/Header, because the executor reads the stamp from the
    serialised bytes. What is not a joint gets a joint name here: an odometry may call its axes
    ``x``, ``y`` and ``yaw``.
    """

    message_type: ClassVar[str]

    def read(self, message: Any) -> JointReading:
        """What a message measures. The message may be one of rclpy or of rosbags."""
        raise NotImplementedError

    def make(self, reading: JointReading) -> Any:
        """The rclpy message for a reading, for simulated robots; its stamp is set afterwards."""
        raise NotImplementedError
