"""The driver of teleoperation: turns 30 to 60 uneven commands a second into a smooth reference.

Between two commands the target moves on at its rate. The reference follows the target as a
critically damped third-order system. So position, velocity and acceleration are continuous for any
commands, and the reference follows a target in steady motion without lag.
"""

from __future__ import annotations

import math

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.control.blend import Blender, Fade
from pi0_ros.control.commanded_motion import CommandedMotion
from pi0_ros.control.state import ExecutorState
from pi0_ros.control.teleop_command import TeleopCommand
from pi0_ros.control.tuning import Tuning
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import S_PER_NS

#: Spacing of two commands [s] within which a rate is estimated from them.
_SPACING_S = (0.005, 0.1)
#: Spacing assumed before the second command [s]: the slowest stream meant to be smooth.
_FIRST_SPACING_S = 1.0 / 30.0
#: Time after which every coasting dimension is at rest.
_LATER_NS = 10**12


class SmoothReference:
    """Position, velocity and acceleration (3, A) that follow a moving target.

    With r the target and w the inverse time constant, (d/dt + w)^3 (p - r) = 0: the error
    is (c0 + c1 t + c2 t^2) exp(-w t), which is advanced exactly, at any period.
    """

    def __init__(self, position: FloatArray, time_constant_s: float, period_s: float) -> None:
        zero = np.zeros_like(position)
        self.motion = np.stack((position, zero, zero))
        self._period_s = period_s
        self._advance = _transition(1.0 / time_constant_s, period_s)

    def follow(self, target: FloatArray, rate: FloatArray) -> None:
        """Advance one period, to the time at which the target is at ``target``."""
        error = self.motion
        error[0] -= target - rate * self._period_s
        error[1] -= rate
        self.motion = self._advance @ error
        self.motion[0] += target
        self.motion[1] += rate


class TeleopDriver:
    """Follows the commands of one source until they are stale.

    Dimensions that no command names come to rest, base velocities at zero.
    """

    state = ExecutorState.TELEOPERATED

    def __init__(
        self,
        first: TeleopCommand,
        now_ns: int,
        commanded: CommandedMotion,
        embodiment: Embodiment,
        blender: Blender,
        tuning: Tuning,
    ) -> None:
        self.source_id = first.source_id
        self._places = {name: i for i, name in enumerate(embodiment.action_names)}
        self._bound = embodiment.limits.velocity
        self._timeout_s = tuning.teleop_timeout_s
        self._commanded, self._blender = commanded, blender
        self._coast = blender.coast(now_ns, commanded.motion)
        self._target = np.where(commanded.to_zero, 0.0, self._coast.sample(now_ns + _LATER_NS)[0])
        self._rate = np.zeros_like(self._target)
        self._named: list[int] = []
        self._stamp_ns = self._fresh_ns = now_ns
        self._spacing_s = _FIRST_SPACING_S
        self.follow(first, now_ns)
        period_s = 1.0 / embodiment.rates.control_hz
        self._reference = SmoothReference(self._target, tuning.teleop_smoothing_s, period_s)
        self._fade: Fade | None = None

    def follow(self, command: TeleopCommand, now_ns: int) -> None:
        """Follow an admitted command."""
        named = [self._places[name] for name in command.names]
        spacing_s = (command.stamp_ns - self._stamp_ns) * S_PER_NS
        rate = np.zeros_like(self._rate)
        if command.velocity.size:
            rate[named] = command.velocity
        elif named == self._named:
            rate[named] = (command.position - self._target[named]) / max(spacing_s, _SPACING_S[0])
        self._rate = np.clip(rate, -self._bound, self._bound)
        self._target = self._target.copy()
        self._target[named] = command.position
        if self._named:
            self._spacing_s = min(max(spacing_s, _SPACING_S[0]), _SPACING_S[1])
        self._named, self._stamp_ns = named, command.stamp_ns
        self._fresh_ns = min(command.stamp_ns, now_ns)

    def setpoint(self, now_ns: int) -> FloatArray | str:
        """The motion (3, A) at this tick, or the reason if the source is silent."""
        silent_s = (now_ns - self._fresh_ns) * S_PER_NS
        if silent_s > self._timeout_s:
            return (
                f"teleoperation by {self.source_id!r} silent for {silent_s:.2f} s "
                f"(limit {self._timeout_s:g} s)"
            )
        self._reference.follow(*self._extrapolated(now_ns))
        fade = self._fade = self._fade or self._begin(now_ns)
        progress = fade.progress(now_ns)
        if progress.min() >= 1.0:
            return self._reference.motion
        return fade.mix(self._coast.sample(now_ns), self._reference.motion, progress)

    def _begin(self, now_ns: int) -> Fade:
        """At the first tick: coast from the commanded motion, and fade into the reference."""
        commanded = self._commanded.motion
        self._coast = self._blender.coast(now_ns, commanded)
        return Fade.over(now_ns, self._blender.durations_s(self._reference.motion - commanded))

    def _extrapolated(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Target and rate now. The target moves on for at most two spacings, then rests."""
        longest_s = 2.0 * self._spacing_s
        ahead_s = (now_ns - self._stamp_ns) * S_PER_NS
        if abs(ahead_s) <= longest_s:
            return self._target + self._rate * ahead_s, self._rate
        end = self._target + self._rate * math.copysign(longest_s, ahead_s)
        return end, np.zeros_like(self._rate)


def _transition(w: float, t: float) -> FloatArray:
    """The matrix (3, 3) that advances error, its rate and its acceleration by ``t`` seconds."""
    e, v, a = np.eye(3)
    c0, c1, c2 = e, v + w * e, 0.5 * (a + 2.0 * w * v + w * w * e)
    decay = math.exp(-w * t)
    value = (c0 + c1 * t + c2 * t * t) * decay
    slope = (c1 + 2.0 * c2 * t) * decay
    rate = slope - w * value
    return np.stack((value, rate, 2.0 * c2 * decay - w * slope - w * rate))
