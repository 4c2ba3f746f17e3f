"""What is known of the robot's joints, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pi0_ros.embodiment import Embodiment, EmbodimentError
from pi0_ros.embodiment.packing import JointStatePacker, measured_action

_NS = 1e-9


class JointWatch:
    """The measured state (S,) gathered from the embodiment's joint-state topics.

    Freshness and content are separate: :meth:`heard` is cheap and called for every
    message, :meth:`update` unpacks one and is called when its numbers are needed.
    """

    def __init__(self, embodiment: Embodiment, timeout_s: float) -> None:
        self._embodiment = embodiment
        self._packer = JointStatePacker(embodiment)
        self._timeout_ns = round(timeout_s / _NS)
        self.reset()

    @property
    def topics(self) -> tuple[str, ...]:
        """Joint-state topics of the embodiment."""
        return self._packer.topics

    def reset(self) -> None:
        """Forget everything heard."""
        self._state = np.full(len(self._embodiment.state), np.nan)
        self._heard_ns: dict[str, int] = {}
        self._unpacked: set[str] = set()
        self._faults: dict[str, str] = {}

    def heard(self, topic: str, now_ns: int) -> None:
        """Note that a message arrived."""
        self._heard_ns[topic] = now_ns

    def update(
        self,
        topic: str,
        names: Sequence[str],
        position: Sequence[float],
        velocity: Sequence[float],
        effort: Sequence[float],
    ) -> None:
        """Unpack a message; one that lacks a joint is a fault until a good one follows."""
        try:
            indices, values = self._packer.pack(topic, names, position, velocity, effort)
        except EmbodimentError as error:
            self._faults[topic] = str(error)
            return
        self._faults.pop(topic, None)
        self._state[indices] = values
        self._unpacked.add(topic)

    def problem(self, now_ns: int) -> str | None:
        """Why the robot may not move, or None."""
        if self._faults:
            return next(iter(self._faults.values()))
        for topic in self.topics:
            heard_ns = self._heard_ns.get(topic)
            if heard_ns is None or topic not in self._unpacked:
                return f"no joint states on {topic} yet; it carries {self._joints(topic)}"
            if now_ns - heard_ns > self._timeout_ns:
                return (
                    f"joint states on {topic} stopped {(now_ns - heard_ns) * _NS:.2f} s ago "
                    f"(limit {self._timeout_ns * _NS:g} s)"
                )
        return None

    def action(self) -> NDArray[np.float64]:
        """The action that would hold the measured pose, shape (A,); NaN where unknown."""
        return measured_action(self._embodiment, self._state)

    def clock_went_back(self, now_ns: int) -> None:
        """Count the age of every topic from ``now_ns``."""
        self._heard_ns = dict.fromkeys(self._heard_ns, now_ns)

    def _joints(self, topic: str) -> str:
        return ", ".join(d.joint for d in self._embodiment.state if d.topic == topic)
