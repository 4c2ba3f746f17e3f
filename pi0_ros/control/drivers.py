"""What can drive the robot: a chunk, a human, the way home. One at a time.

A driver says where to be at each tick, as a motion (3, A): position, velocity, acceleration.
The limits, the veto and the stop are not its business. Teleoperation has a module of its
own, :mod:`pi0_ros.control.teleop_driver`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.control.blend import SHARE, Blender, Fade, Path
from pi0_ros.control.commanded_motion import CommandedMotion
from pi0_ros.control.state import ExecutorState
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import S_PER_NS

#: A pose this close to home is home [unit].
_ARRIVED = 1e-6
#: How long the end of a homing move may lie ahead of the robot [s].
_ARRIVAL_S = 5.0


class Driver(Protocol):
    """One source of setpoints, for as long as it drives."""

    state: ExecutorState
    source_id: str

    def setpoint(self, now_ns: int) -> FloatArray | str:
        """The motion (3, A) at this tick; or why there is nowhere to go any more."""


class ChunkDriver:
    """Follows a path through one chunk to its end."""

    state = ExecutorState.EXECUTING

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source_id = path.chunk.source_id

    def setpoint(self, now_ns: int) -> FloatArray | str:
        """The path's motion while it lasts."""
        if now_ns > self.path.end_ns:
            return f"chunk {self.path.chunk.sequence} is exhausted"
        return self.path.sample(now_ns)


class HomingDriver:
    """Moves every position dimension home from rest on one quintic, all arriving together.

    ``share`` is that of the velocity limits; being as slow as that, it takes less of the
    others. Base velocities, which no state measures, stay at zero. Time counts in ticks, so
    that a clock that jumps never makes it hurry.
    """

    state = ExecutorState.HOMING
    source_id = "home"

    def __init__(
        self, commanded: CommandedMotion, embodiment: Embodiment, blender: Blender, share: float
    ) -> None:
        self._commanded = commanded
        self._period_ns = round(1.0 / embodiment.rates.control_hz / S_PER_NS)
        is_position = np.array([d.state is not None for d in embodiment.action])
        self._start, self._home = np.zeros((2, 3, len(is_position)))
        self._start[0] = commanded.position
        self._home[0] = np.where(is_position, embodiment.home, 0.0)
        shortest_s = blender.durations_s(self._home - self._start).max()
        self.duration_s = float(shortest_s) * SHARE / share
        self._fade = Fade.over(0, np.full(len(is_position), self.duration_s))
        self._elapsed_ns = 0

    def setpoint(self, now_ns: int) -> FloatArray | str:
        """The next point of the way; its end when the robot was commanded there."""
        self._elapsed_ns += self._period_ns
        late_s = self._elapsed_ns * S_PER_NS - self.duration_s
        if late_s > 0.0 and np.abs(self._commanded.position - self._home[0]).max() < _ARRIVED:
            return "at the home pose"
        if late_s > _ARRIVAL_S:
            return "the home pose cannot be reached within the limits"
        return self._fade.mix(self._start, self._home, self._fade.progress(self._elapsed_ns))
