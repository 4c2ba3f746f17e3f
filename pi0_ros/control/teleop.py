"""The door for teleoperation: whose commands may move the robot, and which of them.

One source at a time, the one that pressed its deadman first. A source that was dropped, or
that held its deadman when it might not drive, has to let go before it may drive again: what
a human meant a moment ago is not what moves the robot now.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.chunk import Refusal, Rule
from pi0_ros.control.tuning import Tuning
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import S_PER_NS

#: Refusals that are no fault of the command: a deadman held meanwhile counts for nothing.
_MUST_LET_GO = frozenset({Rule.STOPPED, Rule.STOPPING, Rule.WAITING, Rule.SOURCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class TeleopCommand:
    """A command as it was received, unchecked.

    ``position`` and ``velocity`` belong to ``names``; an empty ``velocity`` is to be
    estimated. ``stamp_ns``: when the values are to be reached, on the ROS clock.
    """

    stamp_ns: int
    source_id: str
    deadman: bool
    names: tuple[str, ...]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]


class TeleopDoor:
    """Knows who holds the deadman and refuses what may not move the robot.

    ``must_let_go``: sources that may not drive before they let go; it outlives the instance.
    """

    def __init__(
        self, embodiment: Embodiment, tuning: Tuning, must_let_go: set[str] | None = None
    ) -> None:
        self._robot = embodiment.name
        self._names = frozenset(embodiment.action_names)
        self._timeout_s = tuning.teleop_timeout_s
        self._max_future_s = tuning.chunk_max_future_s
        self._must_let_go = set() if must_let_go is None else must_let_go
        self._stamp_ns = 0
        self.holder: str | None = None
        self.accepted = 0
        self.refused: Counter[Rule] = Counter()

    def admit(self, command: TeleopCommand, now_ns: int) -> Refusal | None:
        """Take a command with its deadman held, or say why not."""
        refusal = (
            self._check_source(command)
            or self._check_shape(command)
            or self._check_time(command, now_ns)
        )
        if refusal is not None:
            return self.refuse(command, refusal)
        self.holder = command.source_id
        self._stamp_ns = command.stamp_ns
        self.accepted += 1
        return None

    def refuse(self, command: TeleopCommand, refusal: Refusal) -> Refusal:
        """Count a refusal; who may not drive for what others do must let go first."""
        self.refused[refusal.rule] += 1
        if refusal.rule in _MUST_LET_GO:
            self._must_let_go.add(command.source_id)
        return refusal

    def let_go(self, source_id: str) -> bool:
        """Note a released deadman; whether it was the holder's."""
        self._must_let_go.discard(source_id)
        if self.holder != source_id:
            return False
        self.holder = None
        return True

    def overhear(self, command: TeleopCommand) -> None:
        """Note a deadman while nobody may drive at all."""
        if command.deadman:
            self._must_let_go.add(command.source_id)
        else:
            self.let_go(command.source_id)

    def drop(self) -> None:
        """Take the robot from its holder, who has to let go before the next takeover."""
        if self.holder is not None:
            self._must_let_go.add(self.holder)
            self.holder = None

    def _check_source(self, command: TeleopCommand) -> Refusal | None:
        source = command.source_id
        if not source:
            return Refusal(Rule.SOURCE, "teleoperation command without a source_id; give it one")
        if self.holder not in (None, source):
            reason = f"teleoperation by {source!r} while {self.holder!r} holds the deadman"
            return Refusal(Rule.SOURCE, reason)
        if source in self._must_let_go:
            reason = f"teleoperation by {source!r}: let go of the deadman and press it again"
            return Refusal(Rule.DEADMAN, reason)
        return None

    def _check_shape(self, command: TeleopCommand) -> Refusal | None:
        names, source = command.names, command.source_id
        unknown = [name for name in names if name not in self._names]
        if unknown or not names or len(set(names)) != len(names):
            what = f"unknown {', '.join(map(repr, unknown))}" if unknown else "none or one twice"
            reason = f"teleoperation by {source!r}: action names do not fit {self._robot}: {what}"
            return Refusal(Rule.NAMES, reason)
        sizes = command.position.size, command.velocity.size
        if sizes[0] != len(names) or sizes[1] not in (0, len(names)):
            reason = (
                f"teleoperation by {source!r}: {sizes[0]} positions and {sizes[1]} velocities "
                f"for {len(names)} names; give {len(names)}, or no velocity"
            )
            return Refusal(Rule.LENGTH, reason)
        for what, values in (("position", command.position), ("velocity", command.velocity)):
            finite = np.isfinite(values)
            if not finite.all():
                k = int(np.argmin(finite))
                reason = f"teleoperation by {source!r}: {what} of {names[k]!r} is {values[k]}"
                return Refusal(Rule.FINITE, reason)
        return None

    def _check_time(self, command: TeleopCommand, now_ns: int) -> Refusal | None:
        source, age_s = command.source_id, (now_ns - command.stamp_ns) * S_PER_NS
        if age_s > self._timeout_s:
            reason = (
                f"teleoperation by {source!r}: command is {age_s:.3f} s old; at most "
                f"{self._timeout_s:g} s is accepted (are the clocks in step?)"
            )
            return Refusal(Rule.STALE, reason)
        if -age_s > self._max_future_s:
            reason = (
                f"teleoperation by {source!r}: command is stamped {-age_s:.3f} s ahead of the "
                f"clock; at most {self._max_future_s:g} s is accepted"
            )
            return Refusal(Rule.FUTURE, reason)
        if self.holder is not None and command.stamp_ns <= self._stamp_ns:
            reason = f"teleoperation by {source!r}: command is not newer than the one before"
            return Refusal(Rule.SEQUENCE, reason)
        return None
