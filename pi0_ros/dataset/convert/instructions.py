"""The task of a frame: the instruction in force at its time.

A bag has two sources of instructions: the labels that the recorder stored with the episode, and
the ``pi0_msgs/Instruction`` messages on topic ``instruction``. The newest one is in force,
whoever gave it.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.instruction import Instruction
from pi0_ros.recording.episode import EpisodeInfo

INSTRUCTION_TOPIC = "instruction"
_TYPE = "pi0_msgs/msg/Instruction"


class InstructionTrack:
    """The instructions of one episode."""

    def __init__(self, info: EpisodeInfo) -> None:
        self._info = info
        self._messages: list[tuple[int, str]] = []  # stamp and text

    @property
    def recorded(self) -> bool:
        """Whether the bag holds instruction messages."""
        return any(
            topic.source == INSTRUCTION_TOPIC and topic.type == _TYPE and topic.written
            for topic in self._info.topics
        )

    def add(self, log_ns: int, message: Any) -> None:
        """Add a message. An empty text changes nothing; without a stamp, its arrival counts."""
        instruction = Instruction.of(message)
        if not instruction.empty:
            self._messages.append((instruction.stamp_ns or log_ns, instruction.text))

    def at(self, times_ns: NDArray[np.int64]) -> list[str]:
        """The instruction in force at each time (N,) on the ROS clock.

        A latched message keeps its own stamp, which may be older than the episode. It is used
        only if the recorder stored no label at the start. At equal stamps the label counts.
        """
        info = self._info
        if not self._messages:
            return [info.instruction_at(int(time_ns)) for time_ns in times_ns]
        labels = [(label.stamp_ns, label.text) for label in info.instructions]
        labels = [each for each in labels or [(info.start_ns, info.task)] if each[1].strip()]
        merged = sorted((*self._messages, *labels), key=itemgetter(0))
        texts = (info.task, *(text for _, text in merged))
        stamps = np.array([stamp_ns for stamp_ns, _ in merged], dtype=np.int64)
        # The first frames may be stamped a little before the start. The start label holds for
        # them too, not an older message.
        in_force = np.searchsorted(stamps, np.maximum(times_ns, info.start_ns), side="right")
        return [texts[index] for index in in_force]
