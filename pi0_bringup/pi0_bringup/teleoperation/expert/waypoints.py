"""The waypoints of both grippers in a transfer of the cube, with the variation of a human."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pi0_ros.arrays import FloatArray

OPEN, CLOSED = 1.0, 0.0

#: Where the left gripper takes the cube [m], between the arms and above the table.
_MEETING = np.array((0.0, 0.5, 0.25))
#: Downward tilt of the right gripper [rad] when it picks and when it gives the cube.
_PICK_PITCH = math.radians(65.0)
_MEET_PITCH = math.radians(45.0)
#: The left gripper is rolled onto its side, so that its fingers pass the right ones.
_LEFT_ROLL = math.radians(90.0)
_UP = np.array((0.0, 0.0, 1.0))
#: How far above the cube the gripper stops before it descends, and how far it lifts [m].
_ABOVE_M, _LIFT_M = 0.10, 0.08
#: Offsets from the meeting point [m]: where the left gripper waits, where it brings the cube,
#: and where the right gripper withdraws.
_ASIDE = np.array((-0.12, 0.0, 0.0))
_KEPT = np.array((-0.06, 0.0, 0.0))
_BACK = np.array((0.12, 0.0, 0.04))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waypoint:
    """Pose of a gripper at a time: grip point (3,) [m], tilt [rad], roll [rad], opening 0..1."""

    time_s: float
    position: FloatArray
    pitch: float
    roll: float
    opening: float


@dataclass(frozen=True, slots=True)
class Script:
    """Waypoints of the left and the right gripper in the order of time, and the total time."""

    left: tuple[Waypoint, ...]
    right: tuple[Waypoint, ...]
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Standard deviations between demonstrations; with zeros every demonstration is the same.

    ``coarse_m``, ``near_m`` and ``fine_m`` are those of waypoints in free space, close to the
    cube, and where it is gripped [m]; ``meeting_m`` is that of the meeting point, ``tilt_rad``
    that of the grippers' tilt, ``pace`` that of each duration as a share of it. Every draw is
    clipped at two deviations.
    """

    coarse_m: float = 0.015
    near_m: float = 0.006
    fine_m: float = 0.002
    meeting_m: float = 0.02
    tilt_rad: float = 0.08
    pace: float = 0.15


class _WaypointPath:
    """Appends waypoints of one gripper, each relative to the previous one."""

    def __init__(self, start: Waypoint) -> None:
        self.waypoints = [start]

    @property
    def last(self) -> Waypoint:
        return self.waypoints[-1]

    def move(self, duration_s: float, **changes: Any) -> float:
        """Append a waypoint with these changes after a duration; returns its time."""
        time_s = self.last.time_s + duration_s
        self.waypoints.append(replace(self.last, time_s=time_s, **changes))
        return time_s

    def wait_until(self, time_s: float) -> None:
        """Repeat the last waypoint at this time."""
        if time_s > self.last.time_s:
            self.move(time_s - self.last.time_s)


def transfer_script(
    cube: FloatArray,
    left_home: Waypoint,
    right_home: Waypoint,
    seed: int,
    variation: Variation | None = None,
) -> Script:
    """Waypoints that bring the cube at (3,) [m] from the right gripper to the left one.

    The same seed gives the same script.
    """
    draw = _Draw(np.random.default_rng(seed), variation or Variation())
    meeting = _MEETING + draw.around(draw.variation.meeting_m)
    right = _WaypointPath(right_home)
    grip = cube + draw.around(draw.variation.fine_m)
    # Almost straight above: a gripper that descends at an angle touches the cube.
    above = grip + _UP * _ABOVE_M + draw.around(draw.variation.near_m)
    right.move(draw.lasting(1.2), position=above, pitch=_PICK_PITCH + draw.tilt(), opening=OPEN)
    right.move(draw.lasting(0.7), position=grip)
    right.move(draw.lasting(0.15))
    right.move(draw.lasting(0.9), opening=CLOSED)
    lifted = grip + _UP * _LIFT_M + draw.around(draw.variation.coarse_m)
    right.move(draw.lasting(0.6), position=lifted)
    met_s = right.move(draw.lasting(1.0), position=meeting, pitch=_MEET_PITCH + draw.tilt())

    left = _WaypointPath(left_home)
    left.move(draw.lasting(0.6))
    aside = meeting + _ASIDE + draw.around(draw.variation.coarse_m)
    left.move(draw.lasting(1.6), position=aside, pitch=draw.tilt(), roll=_LEFT_ROLL, opening=OPEN)
    left.wait_until(met_s + draw.lasting(0.2))
    left.move(draw.lasting(0.7), position=meeting + draw.around(draw.variation.fine_m))
    left.move(draw.lasting(0.15))
    taken_s = left.move(draw.lasting(0.9), opening=CLOSED)

    right.wait_until(taken_s + draw.lasting(0.1))
    right.move(draw.lasting(0.9), opening=OPEN)
    back = meeting + _BACK + draw.around(draw.variation.coarse_m)
    gone_s = right.move(draw.lasting(0.8), position=back)
    left.wait_until(gone_s - 0.3)
    kept = meeting + _KEPT + draw.around(draw.variation.coarse_m)
    left.move(draw.lasting(0.6), position=kept)
    end_s = max(left.last.time_s, right.last.time_s) + 0.3
    left.wait_until(end_s)
    right.wait_until(end_s)
    return Script(tuple(left.waypoints), tuple(right.waypoints), end_s)


class _Draw:
    """Random numbers of a demonstration, clipped at two deviations."""

    def __init__(self, random: np.random.Generator, variation: Variation) -> None:
        self._random = random
        self.variation = variation

    def around(self, deviation: float) -> FloatArray:
        """An offset (3,)."""
        return deviation * np.clip(self._random.standard_normal(3), -2.0, 2.0)

    def tilt(self) -> float:
        """An angle [rad]."""
        return float(self.variation.tilt_rad * np.clip(self._random.standard_normal(), -2.0, 2.0))

    def lasting(self, duration_s: float) -> float:
        """A duration near the given one [s]."""
        share = self.variation.pace * np.clip(self._random.standard_normal(), -2.0, 2.0)
        return float(duration_s * (1.0 + share))
