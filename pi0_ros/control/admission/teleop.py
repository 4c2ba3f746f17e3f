"""Admission of teleoperation commands: whose commands may move the robot, and which of them.

One source drives at a time: the one that pressed its deadman first. A source that was dropped, or
that held its deadman while it might not drive, must release it before it may drive: a command that
a human gave before the robot stopped must not move it afterwards.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from pi0_ros.control.admission.refusal import Refusal, RefusalRule
from pi0_ros.control.teleop_command import TeleopCommand
from pi0_ros.control.tuning import Tuning
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import S_PER_NS

#: Refusals that are no fault of the command. A deadman that is held meanwhile must be released
#: before it counts again.
_MUST_RELEASE = frozenset(
    {RefusalRule.STOPPED, RefusalRule.STOPPING, RefusalRule.WAITING, RefusalRule.SOURCE}
)


class TeleopAdmission:
    """Knows which source holds the deadman, and refuses commands that may not move the robot.

    ``must_release``: sources that may not drive before they release their deadman; the set
    outlives the instance.
    """

    def __init__(
        self, embodiment: Embodiment, tuning: Tuning, must_release: set[str] | None = None
    ) -> None:
        self._robot = embodiment.name
        self._names = frozenset(embodiment.action_names)
        self._timeout_s = tuning.teleop_timeout_s
        self._max_future_s = tuning.chunk_max_future_s
        self._must_release = set() if must_release is None else must_release
        self._stamp_ns = 0
        self.holder: str | None = None
        self.accepted = 0
        self.refused: Counter[RefusalRule] = Counter()

    def admit(self, command: TeleopCommand, now_ns: int) -> Refusal | None:
        """Accept a command whose deadman is held, or return why it is refused."""
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
        """Count a refusal, and note whether the source must release its deadman first."""
        self.refused[refusal.rule] += 1
        if refusal.rule in _MUST_RELEASE:
            self._must_release.add(command.source_id)
        return refusal

    def release(self, source_id: str) -> bool:
        """Note a released deadman; returns whether it was the holder's."""
        self._must_release.discard(source_id)
        if self.holder != source_id:
            return False
        self.holder = None
        return True

    def note_deadman(self, command: TeleopCommand) -> None:
        """Note whether a deadman is held while no source may drive."""
        if command.deadman:
            self._must_release.add(command.source_id)
        else:
            self.release(command.source_id)

    def drop(self) -> None:
        """Take the robot from its holder, which must release its deadman to drive again."""
        if self.holder is not None:
            self._must_release.add(self.holder)
            self.holder = None

    def _check_source(self, command: TeleopCommand) -> Refusal | None:
        source = command.source_id
        if not source:
            return Refusal(
                RefusalRule.SOURCE, "teleoperation command without a source_id; give it one"
            )
        if self.holder not in (None, source):
            reason = f"teleoperation by {source!r} while {self.holder!r} holds the deadman"
            return Refusal(RefusalRule.SOURCE, reason)
        if source in self._must_release:
            reason = f"teleoperation by {source!r}: let go of the deadman and press it again"
            return Refusal(RefusalRule.DEADMAN, reason)
        return None

    def _check_shape(self, command: TeleopCommand) -> Refusal | None:
        names, source = command.names, command.source_id
        unknown = [name for name in names if name not in self._names]
        if unknown or not names or len(set(names)) != len(names):
            what = f"unknown {', '.join(map(repr, unknown))}" if unknown else "none or one twice"
            reason = f"teleoperation by {source!r}: action names do not fit {self._robot}: {what}"
            return Refusal(RefusalRule.NAMES, reason)
        sizes = command.position.size, command.velocity.size
        if sizes[0] != len(names) or sizes[1] not in (0, len(names)):
            reason = (
                f"teleoperation by {source!r}: {sizes[0]} positions and {sizes[1]} velocities "
                f"for {len(names)} names; give {len(names)}, or no velocity"
            )
            return Refusal(RefusalRule.LENGTH, reason)
        for what, values in (("position", command.position), ("velocity", command.velocity)):
            finite = np.isfinite(values)
            if not finite.all():
                k = int(np.argmin(finite))
                reason = f"teleoperation by {source!r}: {what} of {names[k]!r} is {values[k]}"
                return Refusal(RefusalRule.FINITE, reason)
        return None

    def _check_time(self, command: TeleopCommand, now_ns: int) -> Refusal | None:
        source, age_s = command.source_id, (now_ns - command.stamp_ns) * S_PER_NS
        if age_s > self._timeout_s:
            reason = (
                f"teleoperation by {source!r}: command is {age_s:.3f} s old; at most "
                f"{self._timeout_s:g} s is accepted (are the clocks in step?)"
            )
            return Refusal(RefusalRule.STALE, reason)
        if -age_s > self._max_future_s:
            reason = (
                f"teleoperation by {source!r}: command is stamped {-age_s:.3f} s ahead of the "
                f"clock; at most {self._max_future_s:g} s is accepted"
            )
            return Refusal(RefusalRule.FUTURE, reason)
        if self.holder is not None and command.stamp_ns <= self._stamp_ns:
            reason = f"teleoperation by {source!r}: command is not newer than the one before"
            return Refusal(RefusalRule.SEQUENCE, reason)
        return None
