"""The action of a frame: the command in force at its time.

A controller holds a command until the next one arrives. The command in force at a time is
therefore the last one that arrived by then. Step j of a chunk learned from frame k is the command
in force j frames later, which is what the executor executes at that time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.controllers import CONTROLLER_KINDS, CommandError
from pi0_ros.dataset.convert.bags import Bag
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.embodiment import Controller, Embodiment, StopBehaviour
from pi0_ros.embodiment.packing import controller_packer, measured_action
from pi0_ros.stamps import NS_PER_S, nanoseconds

#: A base stops after this time [s] without a command; its controller has the same timeout.
BASE_TIMEOUT_S = 0.5
STATUS_TOPIC = "executor_status"


class CommandTrack:
    """The commands of one controller in order of arrival."""

    def __init__(self, embodiment: Embodiment, controller: Controller) -> None:
        self.controller = controller
        self.packer = controller_packer(embodiment, controller)
        # A base at rest receives no commands. Every other actuator always holds a command.
        self._rests = controller.stop is StopBehaviour.RAMP_TO_ZERO
        self._kind = CONTROLLER_KINDS.get(controller.kind)
        self._times: list[int] = []
        self._values: list[FloatArray] = []

    def add(self, log_ns: int, message: Any) -> None:
        """Add a command. Raises :class:`DatasetError` if it does not fit the controller."""
        try:
            raw = self._kind.read(self.packer, message)
        except CommandError as error:
            raise DatasetError(f"a command on {self.controller.topic} has {error}") from error
        if len(raw) != len(self.packer.joints) or not np.isfinite(raw).all():
            raise DatasetError(
                f"a command on {self.controller.topic} is {raw.tolist()}; one finite number for"
                f" each of {', '.join(self.packer.joints)} expected"
            )
        self._times.append(log_ns)
        self._values.append(self.packer.value(raw))

    def known_at(self, time_ns: int) -> bool:
        """Whether a command is in force at a time."""
        return self._rests or (bool(self._times) and self._times[0] <= time_ns)

    @property
    def silent(self) -> bool:
        """Whether the controller should have been commanded and never was."""
        return not self._rests and not self._times

    def at(self, times_ns: NDArray[np.int64]) -> FloatArray:
        """Values in force at each time (N, K); zero for a base without recent commands."""
        found = np.zeros((len(times_ns), len(self.packer.joints)))
        if not self._times:
            return found
        arrived = np.array(self._times, dtype=np.int64)
        last = np.searchsorted(arrived, times_ns, side="right") - 1
        in_force = last >= 0
        if self._rests:
            in_force &= times_ns - arrived[last] <= round(BASE_TIMEOUT_S * NS_PER_S)
        found[in_force] = np.stack(self._values)[last[in_force]]
        return found


class StatusTrack:
    """The commands that the executor reported, with its own stamps and names."""

    def __init__(self, embodiment: Embodiment) -> None:
        self._names = embodiment.action_names
        self.stamps: list[int] = []  # of every status, with or without a command
        self._times: list[int] = []
        self._values: list[FloatArray] = []

    def add(self, message: Any) -> None:
        """Add a status; a status without a command is ignored."""
        stamp_ns = nanoseconds(message.header.stamp)
        self.stamps.append(stamp_ns)
        values = dict(zip(message.action_names, message.command, strict=False))
        missing = [name for name in self._names if name not in values]
        if missing:
            raise DatasetError(f"{STATUS_TOPIC} has no command for {', '.join(missing)}")
        command = np.array([values[name] for name in self._names], dtype=np.float64)
        if np.isfinite(command).all():
            self._times.append(stamp_ns)
            self._values.append(command)

    @property
    def silent(self) -> bool:
        """Whether the executor never reported a command."""
        return not self._times

    def known_at(self, time_ns: int) -> bool:
        """Whether the executor reported a command by this time."""
        return bool(self._times) and self._times[0] <= time_ns

    def at(self, times_ns: NDArray[np.int64]) -> FloatArray:
        """Commands in force at each time (N, A)."""
        last = np.searchsorted(np.array(self._times, dtype=np.int64), times_ns, side="right") - 1
        return np.stack(self._values)[np.maximum(last, 0)]


def read_status(bag: Bag) -> StatusTrack:
    """All commands that the executor reported; empty if the bag has no status.

    They are read before the other messages, because they count by stamp and may arrive late.
    """
    track = StatusTrack(bag.embodiment)
    if any(topic.source == STATUS_TOPIC and topic.written for topic in bag.info.topics):
        for _, _, message in bag.messages([STATUS_TOPIC]):
            track.add(message)
    return track


def reached_states(embodiment: Embodiment, states: FloatArray) -> FloatArray:
    """Actions (N, A) that command at each frame the state measured at the next frame.

    The last frame commands its own state. Base velocities are 0, because no state measures them.
    """
    following = np.concatenate([states[1:], states[-1:]])
    return measured_action(embodiment, following)
