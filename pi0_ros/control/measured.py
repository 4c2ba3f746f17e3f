"""The measured joints and observations, and whether they are fresh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment, EmbodimentError
from pi0_ros.embodiment.packing import JointStatePacker, measured_action
from pi0_ros.stamps import S_PER_NS


class JointWatch:
    """The measured state (S,) and its rate, gathered from the joint-state topics.

    Freshness and content are separate: :meth:`heard` is cheap and is called for every
    message; :meth:`update` unpacks a message and is called when its numbers are needed.

    A topic is fresh while messages arrive whose stamp is later than the one before, or which have
    no stamp (0): a driver that has frozen may repeat its last message without end. Stamps are
    compared only with each other, so that the driver may use another clock. After a stamp that
    went back, the topic is fresh again as soon as the stamps advance.

    The rate is the velocity in the message. Without one it is estimated from two messages and
    their stamps. It is 0 if the stamps do not differ.
    """

    def __init__(self, embodiment: Embodiment, timeout_s: float) -> None:
        self._embodiment = embodiment
        self._packer = JointStatePacker(embodiment)
        self._offset = np.array([dimension.offset for dimension in embodiment.state])
        self._timeout_ns = round(timeout_s / S_PER_NS)
        self.reset()

    @property
    def topics(self) -> tuple[str, ...]:
        """Joint-state topics of the embodiment."""
        return self._packer.topics

    def reset(self) -> None:
        """Forget every message."""
        self._state = np.full(len(self._embodiment.state), np.nan)
        self._rate = np.full(len(self._embodiment.state), np.nan)
        self._arrived_ns: dict[str, int] = {}
        self._arrived_stamp_ns: dict[str, int] = {}
        self._heard_ns: dict[str, int] = {}  # arrival of the last fresh message
        self._stamp_ns: dict[str, int] = {}
        self._faults: dict[str, str] = {}

    def heard(self, topic: str, now_ns: int, stamp_ns: int = 0) -> None:
        """Note that a message arrived; ``stamp_ns`` is the stamp of its header, 0 for none."""
        self._arrived_ns[topic] = now_ns
        before_ns = self._arrived_stamp_ns.get(topic)
        if stamp_ns:
            self._arrived_stamp_ns[topic] = stamp_ns
        if not stamp_ns or (before_ns is not None and stamp_ns > before_ns):
            self._heard_ns[topic] = now_ns

    def update(
        self,
        topic: str,
        names: Sequence[str],
        position: Sequence[float],
        velocity: Sequence[float],
        effort: Sequence[float],
        stamp_ns: int = 0,
    ) -> None:
        """Unpack a message. A missing joint is a fault until a complete message arrives."""
        try:
            indices, values = self._packer.pack(topic, names, position, velocity, effort)
        except EmbodimentError as error:
            self._faults[topic] = str(error)
            return
        self._faults.pop(topic, None)
        given = self._given_rate(topic, names, velocity, effort)
        self._rate[indices] = (
            self._estimated_rate(topic, values - self._state[indices], stamp_ns)
            if given is None
            else given
        )
        self._state[indices] = values
        self._stamp_ns[topic] = stamp_ns

    def _given_rate(
        self, topic: str, names: Sequence[str], velocity: Sequence[float], effort: Sequence[float]
    ) -> FloatArray | None:
        """Rates from the message, in embodiment units: its velocities, packed as positions."""
        if len(velocity) != len(names):
            return None
        try:
            indices, values = self._packer.pack(topic, names, velocity, velocity, effort)
        except EmbodimentError:  # the driver fills an unknown velocity with NaN
            return None
        rates: FloatArray = values - self._offset[indices]
        return rates

    def _estimated_rate(self, topic: str, moved: FloatArray, stamp_ns: int) -> FloatArray:
        """Rates from two messages with stamps; NaN after the first message."""
        before_ns = self._stamp_ns.get(topic)
        if before_ns is None:
            return np.full_like(moved, np.nan if stamp_ns else 0.0)
        elapsed_s = (stamp_ns - before_ns) * S_PER_NS
        return moved / elapsed_s if elapsed_s > 0.0 else np.zeros_like(moved)

    def problem(self, now_ns: int) -> str | None:
        """Why the robot may not move, or None."""
        if self._faults:
            return next(iter(self._faults.values()))
        for topic in self.topics:
            heard_ns = self._heard_ns.get(topic)
            if heard_ns is None and topic in self._arrived_ns:
                return f"joint states on {topic} carry a stamp that has not advanced yet"
            if heard_ns is None or topic not in self._stamp_ns:
                return f"no joint states on {topic} yet; it carries {self._joints(topic)}"
            if now_ns - heard_ns > self._timeout_ns:
                return f"joint states on {topic} {self._outage(topic, now_ns, heard_ns)}"
        return None

    def pose_problem(self, now_ns: int) -> str | None:
        """Why the pose and the rate of the robot are not known, or None."""
        problem = self.problem(now_ns)
        if problem is None and not self.is_rate_known:
            return "joint states carry no velocity; waiting for the next ones to see what moves"
        return problem

    def _outage(self, topic: str, now_ns: int, heard_ns: int) -> str:
        lasted_s, limit_s = (now_ns - heard_ns) * S_PER_NS, self._timeout_ns * S_PER_NS
        if now_ns - self._arrived_ns[topic] > self._timeout_ns:
            return f"stopped {lasted_s:.2f} s ago (limit {limit_s:g} s)"
        return (
            f"arrive with a stamp that has not advanced for {lasted_s:.2f} s "
            f"(limit {limit_s:g} s); the driver has frozen"
        )

    def are_heard_since(self, since_ns: int) -> bool:
        """Whether a fresh message has arrived on every topic after ``since_ns``."""
        return all(self._heard_ns.get(topic, since_ns) > since_ns for topic in self.topics)

    @property
    def is_rate_known(self) -> bool:
        """Whether the messages unpacked so far give the rate of every dimension."""
        return bool(np.isfinite(self._rate).all())

    def action(self) -> FloatArray:
        """The action that would hold the measured pose, shape (A,); NaN where unknown."""
        return measured_action(self._embodiment, self._state)

    def rate(self) -> FloatArray:
        """Measured rate of change of :meth:`action` [unit/s], shape (A,); 0 for velocities."""
        return measured_action(self._embodiment, self._rate)

    def clock_jumped(self, now_ns: int) -> None:
        """Count the age of every topic from ``now_ns``."""
        self._heard_ns = dict.fromkeys(self._heard_ns, now_ns)
        self._arrived_ns = dict.fromkeys(self._arrived_ns, now_ns)

    def _joints(self, topic: str) -> str:
        return ", ".join(d.joint for d in self._embodiment.state if d.topic == topic)


class ObservationWatch:
    """The age of the newest observation: stale observations stop the chunks."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._seen_ns: int | None = None

    def seen(self, stamp_ns: int, now_ns: int) -> None:
        """Note an observation. Its age counts from its stamp, even if it repeats."""
        fresh_ns = min(stamp_ns, now_ns)
        if self._seen_ns is None or fresh_ns > self._seen_ns:
            self._seen_ns = fresh_ns

    def forget(self) -> None:
        """Forget every observation."""
        self._seen_ns = None

    def age_s(self, now_ns: int) -> float | None:
        """Age of the newest observation, or None before the first."""
        return None if self._seen_ns is None else (now_ns - self._seen_ns) * S_PER_NS

    def problem(self, now_ns: int) -> str | None:
        """Why no chunk may drive the robot, or None."""
        age_s = self.age_s(now_ns)
        if age_s is None or age_s <= self._timeout_s:
            return None
        return f"observation is {age_s:.2f} s old (limit {self._timeout_s:g} s)"
