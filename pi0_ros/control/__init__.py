"""Chunks and humans in, limited setpoints out: the drivers, the limits, the stop, the states."""

from __future__ import annotations

from pi0_ros.control.blend import Blender, Path
from pi0_ros.control.chunk import ActionChunk, ChunkGate, IncomingChunk, Refusal, Rule
from pi0_ros.control.executor import Executor
from pi0_ros.control.latch import Answer, Latch
from pi0_ros.control.lateness import Lateness, LatenessSummary
from pi0_ros.control.limits import Limiter
from pi0_ros.control.measured import JointWatch
from pi0_ros.control.operator import Operator
from pi0_ros.control.state import State, Tick
from pi0_ros.control.teleop import TeleopCommand, TeleopDoor
from pi0_ros.control.timeline import Timeline
from pi0_ros.control.tuning import Tuning
from pi0_ros.control.veto import Veto, load_veto

__all__ = [
    "ActionChunk",
    "Answer",
    "Blender",
    "ChunkGate",
    "Executor",
    "IncomingChunk",
    "JointWatch",
    "Latch",
    "Lateness",
    "LatenessSummary",
    "Limiter",
    "Operator",
    "Path",
    "Refusal",
    "Rule",
    "State",
    "TeleopCommand",
    "TeleopDoor",
    "Tick",
    "Timeline",
    "Tuning",
    "Veto",
    "load_veto",
]
