"""The last commands to the controllers of a robot, checked as the controllers check them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.controllers import CONTROLLER_KINDS, CommandError
from pi0_ros.embodiment import Controller, Embodiment
from pi0_ros.embodiment.packing import controller_packer

#: Silence after which a base controller stops the base: diff_drive_controller's default [s].
BASE_TIMEOUT_S = 0.5


class Commands:
    """Setpoint of every action dimension, fed by the command messages of any controller kind.

    :meth:`sample` answers in embodiment order and units. A refused command raises
    :class:`CommandError`, is counted, and leaves the setpoint as it was. Thread-safe.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        start: NDArray[np.float64],
        base_timeout_s: float = BASE_TIMEOUT_S,
    ) -> None:
        self._embodiment = embodiment
        self._size = len(embodiment.action)
        self._lock = threading.Lock()
        self._packers = {c.name: controller_packer(embodiment, c) for c in embodiment.controllers}
        self._controllers = {
            c.name: CONTROLLER_KINDS.get(c.kind).mock(
                packer := self._packers[c.name],
                start[packer.indices].astype(np.float64),
                base_timeout_s,
            )
            for c in embodiment.controllers
        }
        #: Commands accepted and refused since construction, by controller name.
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.last_refusal = ""
        self._reported = 0

    def reset(self, setpoint: NDArray[np.float64]) -> None:
        """Forget every command; hold this action, shape (A,)."""
        with self._lock:
            for name, mock in self._controllers.items():
                mock.reset(setpoint[self._packers[name].indices].astype(np.float64))

    def receive(self, controller: Controller, message: Any, now_s: float) -> None:
        """Follow a command message. Raises :class:`CommandError`."""
        with self._lock:
            try:
                self._controllers[controller.name].receive(message, now_s)
            except CommandError as error:
                self.refused[controller.name] += 1
                self.last_refusal = f"{controller.topic}: {error}"
                raise CommandError(self.last_refusal) from error
            self.accepted[controller.name] += 1

    def sample(self, now_s: float) -> NDArray[np.float64]:
        """The setpoint at a time, shape (A,)."""
        setpoint = np.empty(self._size)
        with self._lock:
            for name, mock in self._controllers.items():
                setpoint[self._packers[name].indices] = mock.sample(now_s)
        return setpoint

    def summary(self) -> dict[str, str]:
        """Commands accepted and refused by controller, and why the last was refused."""
        values = {}
        for controller in self._embodiment.controllers:
            values[f"{controller.name}.accepted"] = str(self.accepted[controller.name])
            values[f"{controller.name}.refused"] = str(self.refused[controller.name])
        values["last_refusal"] = self.last_refusal
        return values

    def complaint(self) -> str | None:
        """A text about the commands refused since the last call, or None."""
        total = self.refused.total()
        new, self._reported = total - self._reported, total
        return f"{new} commands refused, the last: {self.last_refusal}" if new else None
