"""Controller kinds: how an action becomes a controller's message, and how it is read back.

Each kind is one file. A kind of another package is offered through the entry-point group
``pi0_ros.controllers``; see docs/reference/embodiments.md. Importing this package imports no ROS
message: what touches ROS does so when it is called.
"""

from __future__ import annotations

from pi0_ros.controllers.forward_position import ForwardPosition
from pi0_ros.controllers.gripper import Gripper
from pi0_ros.controllers.joint_trajectory import JointTrajectory
from pi0_ros.controllers.kind import (
    CommandError,
    CommandOutput,
    CommandWriter,
    ControllerKind,
    DimensionFacts,
    StopBehaviour,
)
from pi0_ros.controllers.mock import MockController
from pi0_ros.controllers.packer import ControllerPacker
from pi0_ros.controllers.twist import Twist
from pi0_ros.extensions import ExtensionTable

CONTROLLER_KINDS: ExtensionTable[ControllerKind] = ExtensionTable(
    "controller kind", "pi0_ros.controllers", ControllerKind
)
for _kind in (ForwardPosition(), JointTrajectory(), Twist(), Gripper()):
    CONTROLLER_KINDS.add(_kind.name, _kind)

__all__ = [
    "CONTROLLER_KINDS",
    "CommandError",
    "CommandOutput",
    "CommandWriter",
    "ControllerKind",
    "ControllerPacker",
    "DimensionFacts",
    "MockController",
    "StopBehaviour",
]
