"""Leader arms: from their joints to the follower's setpoint, without a jump at the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment, Teleoperation
from pi0_ros.stamps import NS_PER_S, S_PER_NS

#: Between two messages of a leader from which its rate is estimated [s].
_SPACING_S = (0.002, 0.1)
#: A leader is assumed to move on for no longer than this after a message [s].
_AHEAD_S = 0.03


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
        self._heard_ns: dict[str, int] = {}
        self._faults: dict[str, str] = {}

    def update(
        self, topic: str, names: Sequence[str], position: Sequence[float], now_ns: int
    ) -> None:
        """Take a leader's joint states; one that lacks a joint is a fault until a good one."""
        raw = dict(zip(names, position, strict=False))
        values = {}
        for k, leader in enumerate(self.teleop.leaders):
            if leader.topic != topic:
                continue
            if not np.isfinite(raw.get(leader.joint, np.nan)):
                self._faults[topic] = f"{topic} says nothing finite of joint {leader.joint!r}"
                return
            values[k] = leader.scale * raw[leader.joint] + leader.offset
        self._faults.pop(topic, None)
        rows, pose = list(values), np.array(list(values.values()))
        spacing_s = (now_ns - self._heard_ns.get(topic, now_ns)) * S_PER_NS
        if _SPACING_S[0] <= spacing_s <= _SPACING_S[1]:
            # Half the old rate: encoders count in steps, and messages do not come evenly.
            self.rate[rows] += 0.5 * ((pose - self.position[rows]) / spacing_s - self.rate[rows])
        elif spacing_s > _SPACING_S[1]:
            self.rate[rows] = 0.0
        self._heard_ns[topic] = now_ns
        self.position[rows] = pose

    def at(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Pose and rate (N,) now: each leader moves on from its last message at its rate."""
        heard_ns = np.array(
            [self._heard_ns.get(leader.topic, now_ns) for leader in self.teleop.leaders]
        )
        ahead_s = np.clip((now_ns - heard_ns) * S_PER_NS, 0.0, _AHEAD_S)
        return self.position + self.rate * ahead_s, self.rate.copy()

    def problem(self, now_ns: int) -> str | None:
        """Why the leaders may not drive, or None."""
        if self._faults:
            return next(iter(self._faults.values()))
        for topic in self.topics:
            heard_ns = self._heard_ns.get(topic)
            if heard_ns is None:
                return f"no joint states of a leader on {topic}"
            if now_ns - heard_ns > self._timeout_ns:
                return f"{topic} stopped {(now_ns - heard_ns) * S_PER_NS:.2f} s ago"
        return None

    def gesture(self) -> bool:
        """Whether the start gesture is made now; never without one in the embodiment."""
        wanted = self.teleop.start_dimensions
        values = [self.position[self.names.index(name)] for name in wanted]
        return bool(wanted) and all(value < self.teleop.start_below for value in values)


class GestureSwitch:
    """A deadman made of a gesture: on when it has been made for ``hold_s``, off when told.

    It has to be seen undone before it can start anything, so that grippers left closed
    start nothing by themselves.
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
        """Let go."""
        self.on = self._armed = False


class Approach:
    """The follower's way to the leader: a difference that fades while both move on.

    ``difference`` (N,) is follower minus leader at the start. It fades with the smoothstep,
    whose speed peaks at 1.5 d/T; T is the shortest that keeps this below ``speed`` (N,)
    [unit/s] in every dimension.
    """

    def __init__(self, difference: FloatArray, speed: FloatArray) -> None:
        self._difference = difference
        self.duration_s = float(np.max(1.5 * np.abs(difference) / speed, initial=1e-3))

    def added(self, elapsed_s: float) -> tuple[FloatArray, FloatArray]:
        """What is still to be added to the leader's pose and rate, shape (N,) each."""
        t = min(max(elapsed_s / self.duration_s, 0.0), 1.0)
        position: FloatArray = self._difference * (1.0 - t * t * (3.0 - 2.0 * t))
        rate: FloatArray = self._difference * (-6.0 * t * (1.0 - t) / self.duration_s)
        return position, rate


def check_start(
    leaders: LeaderArms, difference: FloatArray, tolerance: float, gesture_may_differ: bool
) -> None:
    """Raise ValueError naming the dimension that is furthest off, if by more than allowed.

    The dimensions of the gesture are exempt where it is what starts: it moves them.
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
