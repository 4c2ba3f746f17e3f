"""From chunks and teleoperation commands to limited setpoints, without ROS."""

from __future__ import annotations

from pi0_ros.control.admission import ChunkAdmission, Refusal, RefusalRule, TeleopAdmission
from pi0_ros.control.blend import Blender, Path
from pi0_ros.control.chunk import ActionChunk, IncomingChunk
from pi0_ros.control.executor import Executor
from pi0_ros.control.lateness import Lateness, LatenessSummary
from pi0_ros.control.limits import Limiter
from pi0_ros.control.measured import JointWatch
from pi0_ros.control.operator import Operator
from pi0_ros.control.operator_interlock import Answer, OperatorInterlock
from pi0_ros.control.state import ExecutorState, Tick
from pi0_ros.control.teleop_command import TeleopCommand
from pi0_ros.control.timeline import Timeline
from pi0_ros.control.tuning import Tuning
from pi0_ros.control.veto import Veto, load_veto

__all__ = [
    "ActionChunk",
    "Answer",
    "Blender",
    "ChunkAdmission",
    "Executor",
    "ExecutorState",
    "IncomingChunk",
    "JointWatch",
    "Lateness",
    "LatenessSummary",
    "Limiter",
    "Operator",
    "OperatorInterlock",
    "Path",
    "Refusal",
    "RefusalRule",
    "TeleopAdmission",
    "TeleopCommand",
    "Tick",
    "Timeline",
    "Tuning",
    "Veto",
    "load_veto",
]
