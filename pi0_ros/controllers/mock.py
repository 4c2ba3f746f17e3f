"""What a simulated robot does with a controller's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.controllers.packer import ControllerPacker

if TYPE_CHECKING:
    from pi0_ros.controllers.kind import ControllerKind


class CommandError(ValueError):
    """A command that no controller would follow; the message names the value and the fix."""


class MockController:
    """Takes the setpoint (K,) of every message over at once. Not thread-safe.

    A message that raises :class:`CommandError` leaves the setpoint as it was.
    """

    #: What the numbers of a message are called in an error.
    numbers = "data"

    def __init__(
        self, kind: ControllerKind, packer: ControllerPacker, start: FloatArray, timeout_s: float
    ) -> None:
        self._kind, self._packer, self._timeout_s = kind, packer, timeout_s
        self.reset(start)

    def reset(self, setpoint: FloatArray) -> None:
        """Forget every message and hold this setpoint (K,)."""
        self._setpoint = setpoint

    def receive(self, message: Any, now_s: float) -> None:
        """Follow a message. Raises :class:`CommandError`."""
        raw = checked(self._packer, self._kind.read(self._packer, message), self.numbers)
        self._setpoint = self._packer.value(raw)

    def sample(self, now_s: float) -> FloatArray:
        """The setpoint (K,) at a time, in action units."""
        return self._setpoint


def checked(packer: ControllerPacker, raw: FloatArray, numbers: str) -> FloatArray:
    """Raw numbers (..., K) if their count is right and all are finite.

    Raises :class:`CommandError`.
    """
    expected = len(packer.dimensions)
    if raw.shape[-1] != expected:
        raise CommandError(
            f"{numbers} has {raw.shape[-1]} numbers; give {expected}: "
            f"{', '.join(packer.dimensions)}"
        )
    finite = np.isfinite(raw)
    if not finite.all():
        bad = np.flatnonzero(~finite.reshape(-1, expected).all(axis=0))
        names = ", ".join(packer.dimensions[k] for k in bad)
        raise CommandError(f"{numbers} of {names} is not finite")
    return raw
