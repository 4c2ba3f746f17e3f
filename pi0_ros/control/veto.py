"""The veto hook, for constraints that are no limits: workspace, self-collision, obstacles.

A veto is any callable ``(command, velocity) -> reason or None`` on arrays (A,) in embodiment
order and units: the next command and its rate of change. It is called before the command is sent,
in every tick in which a driver moves the robot, so it must be quick. After a veto the robot brakes
within its limits, and the veto is not called for the commands of the stop. Refuse a command while a
stop from it still ends in free space, not only the first command outside.
"""

from __future__ import annotations

import importlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Veto(Protocol):
    """Gives the reason why a command must not be sent, or None."""

    def __call__(
        self, command: NDArray[np.float64], velocity: NDArray[np.float64], /
    ) -> str | None:
        """Reason to refuse the command (A,) moving at ``velocity`` (A,) [unit/s], or None."""


def load_veto(path: str) -> Veto | None:
    """The callable named ``"module:attribute"``; None for an empty path.

    Raises :class:`ValueError` with the path and the fix where there is none.
    """
    if not path:
        return None
    module, _, attribute = path.partition(":")
    try:
        veto = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"veto is {path!r}: {error}; give module:attribute of a callable on the Python path"
        ) from error
    if not callable(veto):
        raise ValueError(f"veto is {path!r}, a {type(veto).__name__}; it must be callable")
    return veto  # type: ignore[no-any-return]
