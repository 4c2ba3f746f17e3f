"""What an operator asks `pi0 record` to record."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from pi0_ros.recording.errors import RecordingError


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRequest:
    """What to record. With ``episodes`` 0, the operator starts and stops episodes by keys.

    ``duration_s`` and ``outcome`` apply to each episode that is recorded without keys.
    """

    task: str
    notes: str = ""
    episodes: int = 0
    duration_s: float = 10.0
    outcome: str = "unmarked"

    def check(self) -> None:
        """Raise :class:`RecordingError` if the request cannot be fulfilled."""
        if not self.episodes and not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise RecordingError("this is no terminal: give --episodes N and --duration S")
        if self.episodes < 0 or not self.duration_s > 0:
            raise RecordingError(
                f"episodes is {self.episodes} and duration {self.duration_s:g};"
                " give a whole number and seconds above 0"
            )
