"""The commanded motion: the only place where a setpoint becomes a command.

The setpoint of every driver passes the limiter and the veto here, and every stop is made here.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.control.limits import Limiter
from pi0_ros.control.stop import StopPlan
from pi0_ros.control.veto import Veto
from pi0_ros.embodiment import Embodiment


class CommandedMotion:
    """Commanded position and velocity (A,) of the robot, advanced one tick at a time.

    It begins at a measured position and velocity, so that a moving robot brakes within its limits.
    ``publish`` says per controller whether the command is sent.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        position: FloatArray,
        velocity: FloatArray,
        veto: Veto | None = None,
    ) -> None:
        self._names = embodiment.action_names
        self._limits = embodiment.limits
        self._period_s = 1.0 / embodiment.rates.control_hz
        self._limiter = Limiter(self._limits, self._period_s, position, velocity)
        self._stop = StopPlan(embodiment)
        self._veto = veto
        self.publish = (False,) * len(embodiment.controllers)
        self.vetoed_ticks = 0

    @property
    def position(self) -> FloatArray:
        """Last command."""
        return self._limiter.position

    @property
    def velocity(self) -> FloatArray:
        """Rate of change of the last command [unit/s]."""
        return self._limiter.velocity

    @property
    def motion(self) -> FloatArray:
        """Position, velocity and acceleration (3, A) at the time of the last command."""
        return self._limiter.motion

    @property
    def tangent(self) -> FloatArray:
        """Rate of change (A,) at the time of the last command, for controllers that interpolate.

        With mean velocities as slopes, a cubic through the commands would swing between 4 and -2
        times the acceleration in every period. With tangents it has the commanded acceleration.
        The tangent never points back, so that a robot that stops does not pass its pose.
        """
        twice, bound = 2.0 * self._limiter.velocity, self._limits.velocity
        low, high = np.minimum(0.0, twice), np.maximum(0.0, twice)
        forward = np.minimum(np.maximum(self._limiter.slope, low), high)
        tangent: FloatArray = np.minimum(np.maximum(forward, -bound), bound)
        return tangent

    @property
    def to_zero(self) -> NDArray[np.bool_]:
        """Which dimensions (A,) are velocities, and stop at 0."""
        return self._stop.to_zero

    @property
    def publish_quietly(self) -> tuple[bool, ...]:
        """As ``publish``, but without poses at rest; zero velocities are still repeated."""
        pairs = zip(self.publish, self._stop.is_ramp, strict=True)
        return tuple(publishes and is_ramp for publishes, is_ramp in pairs)

    @property
    def hits(self) -> NDArray[np.uint64]:
        """Limited ticks per kind of limit and dimension."""
        return self._limiter.hits

    @property
    def is_still(self) -> bool:
        """Whether nothing moves, with base velocities at zero."""
        return self._limiter.is_still(self._stop.to_zero)

    @property
    def is_stopped(self) -> bool:
        """Whether everything is still and every ramp has sent its zero."""
        return self._stop.is_reached(self._limiter)

    def follow(self, motion: FloatArray) -> str | None:
        """Advance one tick towards a motion (3, A), or return why it is refused or vetoed."""
        finite = np.isfinite(motion)
        if not finite.all():
            name = self._names[int(np.argmin(finite.all(axis=0)))]
            return f"the setpoint of {name!r} is not finite"
        before = None if self._veto is None else copy.deepcopy(self._limiter)
        self._limiter.track(*motion)
        vetoed = self._ask_veto()
        if vetoed is not None and before is not None:
            self._limiter = before
            self.vetoed_ticks += 1
            return vetoed
        self.publish = self._stop.executing()
        return None

    def brake(self) -> None:
        """Advance one tick of the stop, each actuator by its stop behaviour."""
        self.publish = self._stop.holding(self._limiter)

    def reset_to(self, position: FloatArray) -> None:
        """Take a pose, at rest, as the last command."""
        hits = self._limiter.hits
        self._limiter = Limiter(self._limits, self._period_s, position)
        self._limiter.hits = hits

    def at_rest(self) -> tuple[FloatArray, FloatArray]:
        """The last command at rest: its position, with velocity dimensions at zero."""
        position = np.where(self._stop.to_zero, 0.0, self.position)
        return position, np.zeros_like(position)

    def _ask_veto(self) -> str | None:
        if self._veto is None:
            return None
        try:
            reason = self._veto(_read_only(self.position), _read_only(self.velocity))
        except Exception as error:  # code of the user: if it fails, the setpoint is not sent
            return f"the veto failed: {error!r}"
        return f"vetoed: {reason}" if reason else None


def _read_only(values: FloatArray) -> FloatArray:
    view = values.view()
    view.setflags(write=False)
    return view
