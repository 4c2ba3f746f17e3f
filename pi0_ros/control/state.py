"""What the executor is doing, and what one tick of it results in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.chunk import ActionChunk


class State(IntEnum):
    """As in pi0_msgs/msg/ExecutorStatus."""

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

    ``velocity`` is the mean since the tick before; ``tangent`` that of the command's own time.
    ``publish`` says for each controller of the embodiment whether its command is sent.
    ``source_id`` names who drives. ``step`` and ``steps_consumed`` belong to ``chunk``, the
    one being executed.
    """

    now_ns: int
    state: State
    reason: str
    command: NDArray[np.float64]
    velocity: NDArray[np.float64]
    tangent: NDArray[np.float64]
    publish: tuple[bool, ...]
    source_id: str = ""
    chunk: ActionChunk | None = None
    step: int = 0
    steps_consumed: int = 0
