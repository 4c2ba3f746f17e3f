"""State sources: messages that measure the robot, by the ``message_type`` of the embodiment file.

Each source is one file. A source of another package is offered through the entry-point group
``pi0_ros.state_sources``, under the name of its message type. Importing this package imports no
ROS message.
"""

from __future__ import annotations

from pi0_ros.extensions import ExtensionTable
from pi0_ros.state_sources.joint_state import JointState
from pi0_ros.state_sources.source import JointReading, StateSource

STATE_SOURCES: ExtensionTable[StateSource] = ExtensionTable(
    "message of measured states", "pi0_ros.state_sources", StateSource
)
STATE_SOURCES.add(JointState.message_type, JointState())

__all__ = ["STATE_SOURCES", "JointReading", "StateSource"]
