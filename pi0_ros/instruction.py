"""What the robot is asked to do, in words, and who asks: the view of pi0_msgs/Instruction.

A message is read by its fields, so that rooms without ROS can read those of a bag.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pi0_ros.stamps import nanoseconds


class InstructionSource(IntEnum):
    """Who gave an instruction; the constants of pi0_msgs/Instruction."""

    UNKNOWN = 0
    OPERATOR = 1
    PLANNER = 2
    REPLAY = 3

    @classmethod
    def _missing_(cls, value: object) -> InstructionSource:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction: its text, source and unique ``id``, and when it was given [ns]."""

    text: str
    source: InstructionSource
    id: str
    stamp_ns: int

    @property
    def empty(self) -> bool:
        """Whether it says nothing to do."""
        return not self.text.strip()

    def supersedes(self, current: Instruction | None, now_ns: int) -> bool:
        """Whether it is in force in place of ``current``: not if it was given before it.

        A current one from the future does not count: the clock was set back since.
        """
        return current is None or not self.stamp_ns < current.stamp_ns <= now_ns

    @classmethod
    def of(cls, message: Any) -> Instruction:
        """The content of a pi0_msgs/Instruction."""
        return cls(
            text=str(message.text),
            source=InstructionSource(int(message.source)),
            id=str(message.id),
            stamp_ns=nanoseconds(message.header.stamp),
        )
