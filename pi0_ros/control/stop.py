"""The stop behaviour of each controller when there is nothing to execute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.limits import Limiter
from pi0_ros.embodiment import Embodiment, StopBehaviour

#: Zeros sent to a ramped controller before its own timeout takes over.
ZEROS_SENT = 3


class StopPlan:
    """Decides which controllers publish during a stop, and to which values they brake.

    - ``hold``: brake to standstill, then repeat the commanded pose.
    - ``ramp_to_zero``: bring the value to 0, send 0 :data:`ZEROS_SENT` times, then publish nothing,
      so that the controller's own timeout can act and another source may drive.
    - ``keep_last``: brake to standstill and repeat the last command. Before the first command,
      publish nothing: a command of the *measured* opening of a gripper would release its object.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        names = embodiment.action_names
        self._behaviours = tuple(controller.stop for controller in embodiment.controllers)
        self._indices = tuple(
            np.array([names.index(name) for name in controller.dimensions], dtype=np.intp)
            for controller in embodiment.controllers
        )
        self.is_ramp = tuple(b is StopBehaviour.RAMP_TO_ZERO for b in self._behaviours)
        self.to_zero: NDArray[np.bool_] = np.zeros(len(names), dtype=np.bool_)
        for behaviour, indices in zip(self._behaviours, self._indices, strict=True):
            if behaviour is StopBehaviour.RAMP_TO_ZERO:
                self.to_zero[indices] = True
        self._everything = (True,) * len(self._behaviours)
        self._commanded = False
        self._zeros = [ZEROS_SENT] * len(self._behaviours)

    def executing(self) -> tuple[bool, ...]:
        """Note that this tick is commanded by a driver; every controller publishes."""
        self._commanded = True
        self._zeros = [0] * len(self._behaviours)
        return self._everything

    def holding(self, limiter: Limiter) -> tuple[bool, ...]:
        """Advance the stop by one tick; returns which controllers publish the result."""
        limiter.brake(self.to_zero)
        return tuple(self._publishes(i, limiter) for i in range(len(self._behaviours)))

    def is_reached(self, limiter: Limiter) -> bool:
        """Whether everything stands still and every ramp has sent its zero."""
        ramps = (
            zeros
            for behaviour, zeros in zip(self._behaviours, self._zeros, strict=True)
            if behaviour is StopBehaviour.RAMP_TO_ZERO
        )
        return limiter.is_still(self.to_zero) and all(zeros > 0 for zeros in ramps)

    def _publishes(self, controller: int, limiter: Limiter) -> bool:
        behaviour = self._behaviours[controller]
        if behaviour is StopBehaviour.HOLD:
            return True
        if behaviour is StopBehaviour.KEEP_LAST:
            return self._commanded
        if self._zeros[controller] >= ZEROS_SENT:
            return False
        if not limiter.position[self._indices[controller]].any():
            self._zeros[controller] += 1
        return True
