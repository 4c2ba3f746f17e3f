"""The state of the executor, and the result of one tick."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.chunk import ActionChunk


class ExecutorState(IntEnum):
    """The states of pi0_msgs/msg/ExecutorStatus."""

    INACTIVE = 0
    WAITING = 1
    HOLDING = 2
    EXECUTING = 3
    STOPPED = 4
    ESTOPPED = 5
    HOMING = 6
    TELEOPERATED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Result of one tick. ``command``, ``velocity``, ``tangent``: shape (A,); NaN while waiting.

    ``velocity`` is the mean since the tick before; ``tangent`` is the rate at the tick itself.
    ``publish`` says for each controller of the embodiment whether its command is sent.
    ``source_id`` names the source that drives. ``step`` and ``steps_consumed`` belong to ``chunk``,
    the one being executed.
    """

    now_ns: int
    state: ExecutorState
    reason: str
    command: NDArray[np.float64]
    velocity: NDArray[np.float64]
    tangent: NDArray[np.float64]
    publish: tuple[bool, ...]
    source_id: str = ""
    chunk: ActionChunk | None = None
    step: int = 0
    steps_consumed: int = 0

    @classmethod
    def waiting(cls, now_ns: int, reason: str, dimensions: int, controllers: int) -> Tick:
        """The tick of a robot whose pose is unknown: no command is sent."""
        unknown = np.full(dimensions, np.nan)
        return cls(
            now_ns=now_ns,
            state=ExecutorState.WAITING,
            reason=reason,
            command=unknown,
            velocity=unknown,
            tangent=unknown,
            publish=(False,) * controllers,
        )
