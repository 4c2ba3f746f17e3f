"""The drivers of the robot: a chunk and the move to the home pose. One drives at a time.

A driver gives the setpoint of each tick as a motion (3, A): position, velocity, acceleration.
It does not apply the limits, the veto and the stop. The driver of teleoperation is in
:mod:`pi0_ros.control.teleop_driver`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.control.blend import SHARE, Blender, Fade, Path
from pi0_ros.control.commanded_motion import CommandedMotion
from pi0_ros.control.state import ExecutorState
from pi0_ros.control.timeline import Timeline
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import S_PER_NS

#: Largest distance from the home pose at which the robot has arrived [unit].
_ARRIVED = 1e-6
#: Time after the planned end of a homing move at which the move is given up [s].
_ARRIVAL_S = 5.0


class Driver(Protocol):
    """One source of setpoints, for as long as it drives."""

    state: ExecutorState
    source_id: str

    def setpoint(self, now_ns: int) -> FloatArray | str:
        """The motion (3, A) at this tick, or the reason why the driver has ended."""


class ChunkDriver:
    """Follows a path through one chunk to its end."""

    state = ExecutorState.EXECUTING

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source_id = path.chunk.source_id

    @classmethod
    def into(
        cls,
        chunk: Timeline,
        now_ns: int,
        commanded: FloatArray,
        before: Driver | None,
        blender: Blender,
    ) -> ChunkDriver:
        """Lead into ``chunk`` from the path of the driver before, or from standstill."""
        if isinstance(before, ChunkDriver) and now_ns <= before.path.end_ns:
            return cls(blender.splice(before.path, chunk, now_ns, commanded))
        return cls(blender.begin(chunk, now_ns, commanded))

    def setpoint(self, now_ns: int) -> FloatArray | str:
        """The motion of the path until its end."""
        if now_ns > self.path.end_ns:
            return f"chunk {self.path.chunk.sequence} is exhausted"
        return self.path.sample(now_ns)


class HomingDriver:
    """Moves every position dimension from rest to the home pose on one quintic.

    All dimensions arrive together. ``share`` is the share of the velocity limits that the move
    uses; at that speed it uses less of the other limits. Base velocities, which no state measures,
    stay at zero. Time is counted in ticks, so that a clock jump does not speed up the move.
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
        """The next setpoint, until the robot has been commanded to the home pose."""
        self._elapsed_ns += self._period_ns
        overtime_s = self._elapsed_ns * S_PER_NS - self.duration_s
        if overtime_s > 0.0 and np.abs(self._commanded.position - self._home[0]).max() < _ARRIVED:
            return "at the home pose"
        if overtime_s > _ARRIVAL_S:
            return "the home pose cannot be reached within the limits"
        return self._fade.mix(self._start, self._home, self._fade.progress(self._elapsed_ns))
