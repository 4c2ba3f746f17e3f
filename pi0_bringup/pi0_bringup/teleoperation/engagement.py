"""When a source drives: a held deadman, a robot that is ready, and no resuming by itself."""

from __future__ import annotations

from enum import Enum

_HELD_BEFORE = "the deadman was held from the start; let go of it and press it again"


class Phase(Enum):
    """What a source does this tick."""

    IDLE = "idle"
    ENGAGE = "engage"  # the first tick of driving
    DRIVE = "drive"
    RELEASE = "release"  # the first tick of not driving


class Engagement:
    """Follows the deadman; what ended a drive has to be answered by letting go first.

    So has a deadman that is held from the beginning: it was meant for what was before.
    ``reason`` says why the source does not drive though the deadman is held; empty otherwise.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._driving = False
        self._must_let_go = True

    @property
    def driving(self) -> bool:
        """Whether commands are sent."""
        return self._driving

    def update(self, held: bool, problem: str | None) -> Phase:
        """Advance by one tick. ``problem``: why the robot may not be driven now, or None."""
        if not held:
            self._must_let_go = False
            self.reason = ""
            return self._stand()
        if problem is not None:
            self.block(problem)
        if self._must_let_go:
            self.reason = self.reason or _HELD_BEFORE
            return self._stand()
        was_driving, self._driving = self._driving, True
        return Phase.DRIVE if was_driving else Phase.ENGAGE

    def block(self, reason: str) -> None:
        """Drive no further, and not again before the deadman was let go."""
        self._must_let_go = True
        self.reason = reason

    def _stand(self) -> Phase:
        was_driving, self._driving = self._driving, False
        return Phase.RELEASE if was_driving else Phase.IDLE
