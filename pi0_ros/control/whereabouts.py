"""Whether the arm still is where it was commanded.

While joint states are missing, between two ticks far apart, or when the clock is set back,
an arm may be moved by hand, sag, or be reset by a simulator. To go on commanding the old
pose would make it jump. So the executor loses sight of the arm, and once joint states flow
again it compares: an arm that is elsewhere is held where it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pi0_ros.control.measured import JointWatch
from pi0_ros.control.mover import Mover
from pi0_ros.embodiment import Embodiment, StopBehaviour

#: Joint states have to flow this long before they are believed: what comes first after a
#: standstill of this process was sent before it.
_BELIEVED_AFTER_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class _Loss:
    what: str
    since_ns: int
    tolerance: float


class Whereabouts:
    """Compares the arms' measured pose with the commanded one when there is doubt.

    Grippers are left out: what they hold keeps them from where they were commanded, and
    taking the measured opening would let it go. Base velocities have no pose.
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
        self._loss: _Loss | None = None

    @property
    def are_lost(self) -> bool:
        """Whether the arm may be elsewhere."""
        return self._loss is not None

    @property
    def problem(self) -> str | None:
        """Why the robot may not move, or None."""
        return None if self._loss is None else self._loss.what

    def lose(self, what: str, now_ns: int, *, entirely: bool = False) -> None:
        """From ``now_ns`` on nothing is known; ``entirely``: the old command counts for nothing."""
        entirely = entirely or (self._loss is not None and self._loss.tolerance == 0.0)
        self._loss = _Loss(what, now_ns, 0.0 if entirely else self._tolerance)

    def find(self, now_ns: int, mover: Mover) -> str | None:
        """Compare again if that is possible now; what came out, once it did."""
        loss = self._loss
        if loss is None or not mover.is_still:
            return None
        if not self._joints.are_heard_since(loss.since_ns + _BELIEVED_AFTER_NS):
            return None
        self._loss = None
        moved = self.settle(mover, loss.tolerance)
        return f"after {loss.what} {moved or 'the arm is where it was commanded'}"

    def settle(self, mover: Mover, tolerance: float | None = None) -> str | None:
        """Take the measured pose as the command if it is too far away; which joint was."""
        measured = self._joints.action()
        apart = np.where(self._is_arm, np.abs(measured - mover.position), 0.0)
        worst = int(np.argmax(apart))
        if apart[worst] <= (self._tolerance if tolerance is None else tolerance):
            return None
        mover.settle(np.where(self._is_arm, measured, mover.position))
        return (
            f"{self._names[worst]!r} is {apart[worst]:.3f} from where it was commanded: "
            "the measured pose is held"
        )
