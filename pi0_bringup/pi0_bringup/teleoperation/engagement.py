"""When a source drives: the deadman is held, the robot is ready, and nothing resumes by itself."""

from __future__ import annotations

from enum import Enum

_HELD_BEFORE = "the deadman was held from the start; release it and press it again"


class Phase(Enum):
    """What a source does in this tick."""

    IDLE = "idle"
    ENGAGE = "engage"  # the first tick of driving
    DRIVE = "drive"
    RELEASE = "release"  # the first tick of not driving


class Engagement:
    """State machine of the deadman.

    After a problem has stopped the source, the deadman must be released before it drives again.
    The same holds for a deadman that is held from the beginning.
    ``reason`` says why the source does not drive although the deadman is held; else it is empty.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._driving = False
        self._must_release = True

    @property
    def driving(self) -> bool:
        """Whether commands are sent."""
        return self._driving

    def update(self, held: bool, problem: str | None) -> Phase:
        """Advance by one tick. ``problem``: why the robot may not be driven now, or None."""
        if not held:
            self._must_release = False
            self.reason = ""
            return self._stop()
        if problem is not None:
            self.block(problem)
        if self._must_release:
            self.reason = self.reason or _HELD_BEFORE
            return self._stop()
        was_driving, self._driving = self._driving, True
        return Phase.DRIVE if was_driving else Phase.ENGAGE

    def block(self, reason: str) -> None:
        """Stop driving until the deadman has been released."""
        self._must_release = True
        self.reason = reason

    def _stop(self) -> Phase:
        was_driving, self._driving = self._driving, False
        return Phase.RELEASE if was_driving else Phase.IDLE
