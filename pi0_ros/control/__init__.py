"""Chunks in, limited setpoints out: the timeline, the limits, the stop and the state machine."""

from __future__ import annotations

from pi0_ros.control.blend import Blender, Path
from pi0_ros.control.chunk import ActionChunk, ChunkGate, IncomingChunk, Refusal, Rule
from pi0_ros.control.executor import Executor, State, Tick
from pi0_ros.control.lateness import Lateness, LatenessSummary
from pi0_ros.control.limits import Limiter
from pi0_ros.control.measured import JointWatch
from pi0_ros.control.timeline import Timeline
from pi0_ros.control.tuning import Tuning

__all__ = [
    "ActionChunk",
    "Blender",
    "ChunkGate",
    "Executor",
    "IncomingChunk",
    "JointWatch",
    "Lateness",
    "LatenessSummary",
    "Limiter",
    "Path",
    "Refusal",
    "Rule",
    "State",
    "Tick",
    "Timeline",
    "Tuning",
]
