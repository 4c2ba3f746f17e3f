"""Pose resynchronisation: whether the arm is still where it was commanded.

An arm may be moved by hand, sag, or be reset by a simulator while joint states are missing, between
two ticks far apart, or when the clock is set back. A command of the old pose would then make it
jump. So the pose counts as unknown until joint states arrive again. Then the measured pose is
compared with the commanded one, and an arm that is elsewhere is held where it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pi0_ros.control.commanded_motion import CommandedMotion
from pi0_ros.control.measured import JointWatch
from pi0_ros.embodiment import Embodiment, StopBehaviour

#: Joint states must arrive this long before they count: after a standstill of this process, the
#: first ones were sent before it.
_BELIEVED_AFTER_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class _Doubt:
    what: str
    since_ns: int
    tolerance: float


class PoseResync:
    """Compares the arms' measured pose with the commanded one while the pose is in doubt.

    Grippers are left out: a grasped object keeps them from the commanded opening, and a command of
    the measured opening would release it. Base velocities have no pose.
    """

    def __init__(self, embodiment: Embodiment, joints: JointWatch, tolerance: float) -> None:
        arms = {
            name
            for controller in embodiment.controllers
            if controller.stop is StopBehaviour.HOLD
            for name in controller.dimensions
        }
        self._names = embodiment.action_names
        self._is_arm = np.array([d.name in arms and d.state is not None for d in embodiment.action])
        self._joints = joints
        self._tolerance = tolerance
        self._doubt: _Doubt | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the arm may be away from its commanded pose."""
        return self._doubt is not None

    @property
    def problem(self) -> str | None:
        """Why the robot may not move, or None."""
        return None if self._doubt is None else self._doubt.what

    def mark_unknown(self, what: str, now_ns: int, *, entirely: bool = False) -> None:
        """Note that the pose is unknown since ``now_ns``; ``entirely`` sets the tolerance to 0."""
        entirely = entirely or (self._doubt is not None and self._doubt.tolerance == 0.0)
        self._doubt = _Doubt(what, now_ns, 0.0 if entirely else self._tolerance)

    def resynchronise(self, now_ns: int, commanded: CommandedMotion) -> str | None:
        """Compare the poses if possible now; returns the result as a sentence, or None."""
        doubt = self._doubt
        if doubt is None or not commanded.is_still:
            return None
        if not self._joints.are_heard_since(doubt.since_ns + _BELIEVED_AFTER_NS):
            return None
        self._doubt = None
        moved = self.take_measured(commanded, doubt.tolerance)
        return f"after {doubt.what} {moved or 'the arm is where it was commanded'}"

    def take_measured(
        self, commanded: CommandedMotion, tolerance: float | None = None
    ) -> str | None:
        """Command the measured pose if it is too far away; returns which joint is, or None."""
        measured = self._joints.action()
        apart = np.where(self._is_arm, np.abs(measured - commanded.position), 0.0)
        worst = int(np.argmax(apart))
        if apart[worst] <= (self._tolerance if tolerance is None else tolerance):
            return None
        commanded.reset_to(np.where(self._is_arm, measured, commanded.position))
        return (
            f"{self._names[worst]!r} is {apart[worst]:.3f} from where it was commanded: "
            "the measured pose is held"
        )
