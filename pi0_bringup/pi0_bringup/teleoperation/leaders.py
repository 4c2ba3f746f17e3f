"""Leader arms: their joints become the follower's setpoint, without a jump at the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment, Teleoperation
from pi0_ros.stamps import NS_PER_S, S_PER_NS

#: Time between two messages of a leader for which its rate is estimated: least, largest [s].
_SPACING_S = (0.002, 0.1)
#: A leader's pose is extrapolated for at most this time after a message [s].
_EXTRAPOLATION_S = 0.03


class LeaderArms:
    """The newest pose of the leaders in the follower's units, N dimensions.

    Raises ValueError if the embodiment names no leader arms.
    """

    def __init__(self, embodiment: Embodiment, timeout_s: float) -> None:
        if embodiment.teleop is None:
            raise ValueError(
                f"{embodiment.path} names no leader arms; add them under teleop "
                "(docs/reference/embodiments.md)"
            )
        if not 0.0 < timeout_s < float("inf"):
            raise ValueError(f"leader_timeout_s is {timeout_s}; give a time above 0 s")
        self.teleop: Teleoperation = embodiment.teleop
        self.names = tuple(leader.action for leader in self.teleop.leaders)
        self.topics = tuple(dict.fromkeys(leader.topic for leader in self.teleop.leaders))
        self.rows = np.array([embodiment.action_names.index(name) for name in self.names])
        self.position: FloatArray = np.full(len(self.names), np.nan)
        self.rate: FloatArray = np.zeros(len(self.names))
        self._timeout_ns = round(timeout_s * NS_PER_S)
        self._received_ns: dict[str, int] = {}
        self._faults: dict[str, str] = {}

    def update(
        self, topic: str, names: Sequence[str], position: Sequence[float], now_ns: int
    ) -> None:
        """Store a leader's joint states. A message without a joint is a fault."""
        raw = dict(zip(names, position, strict=False))
        values = {}
        for k, leader in enumerate(self.teleop.leaders):
            if leader.topic != topic:
                continue
            if not np.isfinite(raw.get(leader.joint, np.nan)):
                self._faults[topic] = f"{topic} has no finite position of joint {leader.joint!r}"
                return
            values[k] = leader.scale * raw[leader.joint] + leader.offset
        self._faults.pop(topic, None)
        rows, pose = list(values), np.array(list(values.values()))
        spacing_s = (now_ns - self._received_ns.get(topic, now_ns)) * S_PER_NS
        if _SPACING_S[0] <= spacing_s <= _SPACING_S[1]:
            # Average with the old rate: encoders count in steps, and messages arrive unevenly.
            self.rate[rows] += 0.5 * ((pose - self.position[rows]) / spacing_s - self.rate[rows])
        elif spacing_s > _SPACING_S[1]:
            self.rate[rows] = 0.0
        self._received_ns[topic] = now_ns
        self.position[rows] = pose

    def at(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Pose and rate (N,) now, extrapolated from the last message of each leader."""
        received_ns = np.array(
            [self._received_ns.get(leader.topic, now_ns) for leader in self.teleop.leaders]
        )
        ahead_s = np.clip((now_ns - received_ns) * S_PER_NS, 0.0, _EXTRAPOLATION_S)
        return self.position + self.rate * ahead_s, self.rate.copy()

    def problem(self, now_ns: int) -> str | None:
        """Why the leaders may not drive, or None."""
        if self._faults:
            return next(iter(self._faults.values()))
        for topic in self.topics:
            received_ns = self._received_ns.get(topic)
            if received_ns is None:
                return f"no joint states of a leader on {topic}"
            if now_ns - received_ns > self._timeout_ns:
                return f"{topic} stopped {(now_ns - received_ns) * S_PER_NS:.2f} s ago"
        return None

    def gesture(self) -> bool:
        """Whether the start gesture is being made; False if the embodiment declares none."""
        wanted = self.teleop.start_dimensions
        values = [self.position[self.names.index(name)] for name in wanted]
        return bool(wanted) and all(value < self.teleop.start_below for value in values)


class GestureSwitch:
    """A deadman that a gesture switches on after ``hold_s`` and :meth:`off` switches off.

    The gesture counts only after it was seen not being made, so that grippers which were left
    closed start nothing.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_ns = round(hold_s * NS_PER_S)
        self._since_ns: int | None = None
        self._armed = False
        self.on = False

    def update(self, gesture: bool, now_ns: int) -> None:
        """Advance to this time."""
        if not gesture:
            self._armed, self._since_ns = True, None
            return
        if self._since_ns is None:
            self._since_ns = now_ns
        if self._armed and not self.on and now_ns - self._since_ns >= self._hold_ns:
            self.on, self._armed = True, False

    def off(self) -> None:
        """Switch off; the gesture has to be made again."""
        self.on = self._armed = False


class Approach:
    """An offset that brings the follower to the leader smoothly while both move.

    ``difference`` (N,) is follower minus leader at the start. It decreases to zero by the
    smoothstep, whose speed peaks at 1.5 d/T. T is the shortest time for which the peak stays
    below ``speed`` (N,) [unit/s] in every dimension.
    """

    def __init__(self, difference: FloatArray, speed: FloatArray) -> None:
        self._difference = difference
        self.duration_s = float(np.max(1.5 * np.abs(difference) / speed, initial=1e-3))

    def offset(self, elapsed_s: float) -> tuple[FloatArray, FloatArray]:
        """Offset of the leader's pose and of its rate, shape (N,) each."""
        t = min(max(elapsed_s / self.duration_s, 0.0), 1.0)
        position: FloatArray = self._difference * (1.0 - t * t * (3.0 - 2.0 * t))
        rate: FloatArray = self._difference * (-6.0 * t * (1.0 - t) / self.duration_s)
        return position, rate


def check_start(
    leaders: LeaderArms, difference: FloatArray, tolerance: float, gesture_may_differ: bool
) -> None:
    """Raise ValueError that names the dimension with the largest difference, if it is too large.

    Where the gesture starts the motion, its own dimensions are exempt, because it moves them.
    """
    off = np.abs(difference)
    if gesture_may_differ:
        off[[leaders.names.index(name) for name in leaders.teleop.start_dimensions]] = 0.0
    worst = int(np.argmax(off))
    if off[worst] > tolerance:
        raise ValueError(
            f"the leader's {leaders.names[worst]} is {off[worst]:.2f} away from the follower's "
            f"(at most {tolerance:g}): bring the leader nearer and start again"
        )
