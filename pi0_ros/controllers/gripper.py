"""``gripper``: the opening of a gripper, for a forward_command_controller."""

from __future__ import annotations

from pi0_ros.controllers.forward_position import ForwardPosition
from pi0_ros.controllers.kind import StopBehaviour


class Gripper(ForwardPosition):
    """The message of an arm, but in a stop the gripper keeps its last command."""

    name = "gripper"
    stops = (StopBehaviour.KEEP_LAST, StopBehaviour.HOLD)
