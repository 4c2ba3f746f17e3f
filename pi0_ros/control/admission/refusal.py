"""Why a chunk or a teleoperation command may not move the robot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class RefusalRule(str, Enum):
    """The rule that a refused chunk or teleoperation command violates."""

    EMBODIMENT = "embodiment"
    NAMES = "names"
    HORIZON = "horizon"
    LENGTH = "length"
    STEP = "step"
    FINITE = "finite"
    STALE = "stale"
    FUTURE = "future"
    OBSERVATION = "observation"
    SOURCE = "source"
    SEQUENCE = "sequence"
    STOPPING = "stopping"
    WAITING = "waiting"
    STOPPED = "stopped"
    TELEOPERATED = "teleoperated"
    HANDOVER = "handover"
    DEADMAN = "deadman"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a chunk was refused: the rule and one sentence with the offending value."""

    rule: RefusalRule
    reason: str
