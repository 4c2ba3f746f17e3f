"""Admission of action chunks: which of them may move the robot.

A chunk is checked against the embodiment, the clock and the chunks before it. The numbers of a
chunk are never repaired: it is accepted or refused as a whole, with a reason that carries the
offending value.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.admission.refusal import Refusal, RefusalRule
from pi0_ros.control.chunk import ActionChunk, IncomingChunk
from pi0_ros.control.tuning import Tuning
from pi0_ros.embodiment import Embodiment
from pi0_ros.stamps import S_PER_NS

#: Tolerated relative error of a chunk's step duration (a message carries whole nanoseconds).
_STEP_TOLERANCE = 1e-3


class ChunkAdmission:
    """Accepts or refuses chunks, from one source at a time.

    The first source with an accepted chunk owns the robot until none of its chunks was accepted
    for ``tuning.source_timeout_s``. Then the source and its sequence numbers are forgotten, and
    any source may begin.
    """

    def __init__(self, embodiment: Embodiment, tuning: Tuning) -> None:
        self._embodiment = embodiment
        self._tuning = tuning
        self._names = embodiment.action_names
        self._step_ns = round(embodiment.rates.step_duration_s / S_PER_NS)
        self._source: str | None = None
        self._sequence = -1
        self._accepted_ns = 0
        self._handover: tuple[int, str] | None = None
        self.accepted = 0
        self.refused: Counter[RefusalRule] = Counter()
        self.last_refusal = ""

    def accept(self, chunk: IncomingChunk, now_ns: int) -> ActionChunk | Refusal:
        """Check a chunk at ``now_ns`` [ns on the ROS clock]."""
        self._forget_silent_source(now_ns)
        for check in (self._check_shape, self._check_time, self._check_order):
            refusal = check(chunk, now_ns)
            if refusal is not None:
                return self.refuse(refusal)
        self._source = chunk.source_id
        self._sequence = chunk.sequence
        self._accepted_ns = now_ns
        self.accepted += 1
        return self._ordered(chunk)

    def refuse(self, refusal: Refusal) -> Refusal:
        """Count a refusal and return it."""
        self.refused[refusal.rule] += 1
        self.last_refusal = refusal.reason
        return refusal

    def forget_source(self) -> None:
        """Let any source begin, with any sequence number."""
        self._source = None
        self._sequence = -1

    def hand_over(self, now_ns: int, event: str) -> None:
        """From now on accept only chunks that were computed from an observation after ``event``."""
        self._handover = (now_ns, event)

    def clock_went_back(self) -> None:
        """Forget the source and the handover, whose times now lie in the future."""
        self.forget_source()
        self._handover = None

    def _forget_silent_source(self, now_ns: int) -> None:
        if now_ns - self._accepted_ns > self._tuning.source_timeout_s / S_PER_NS:
            self.forget_source()

    def _check_shape(self, chunk: IncomingChunk, _now_ns: int) -> Refusal | None:
        expected = self._embodiment
        if chunk.embodiment != expected.name:
            return Refusal(
                RefusalRule.EMBODIMENT,
                f"chunk is for embodiment {chunk.embodiment!r}; this robot is {expected.name!r}",
            )
        if chunk.names != self._names and sorted(chunk.names) != sorted(self._names):
            return Refusal(RefusalRule.NAMES, self._name_fault(chunk.names))
        if chunk.horizon != expected.rates.horizon:
            return Refusal(
                RefusalRule.HORIZON,
                f"chunk horizon is {chunk.horizon}; {expected.name} needs {expected.rates.horizon}",
            )
        if chunk.data.size != chunk.horizon * len(self._names):
            return Refusal(
                RefusalRule.LENGTH,
                f"chunk carries {chunk.data.size} numbers; "
                f"{chunk.horizon} steps of {len(self._names)} actions need "
                f"{chunk.horizon * len(self._names)}",
            )
        if abs(chunk.step_ns - self._step_ns) > _STEP_TOLERANCE * self._step_ns:
            return Refusal(
                RefusalRule.STEP,
                f"chunk step is {chunk.step_ns * 1e-6:g} ms; "
                f"{expected.name} needs {self._step_ns * 1e-6:g} ms",
            )
        return self._check_finite(chunk)

    def _check_finite(self, chunk: IncomingChunk) -> Refusal | None:
        finite = np.isfinite(chunk.data)
        if finite.all():
            return None
        step, column = divmod(int(np.argmin(finite)), len(chunk.names))
        return Refusal(
            RefusalRule.FINITE,
            f"chunk has {chunk.data[int(np.argmin(finite))]} for {chunk.names[column]!r} "
            f"at step {step}; {int((~finite).sum())} numbers are not finite",
        )

    def _name_fault(self, names: tuple[str, ...]) -> str:
        missing = [name for name in self._names if name not in names]
        extra = [name for name in names if name not in self._names]
        twice = sorted({name for name in names if names.count(name) > 1})
        parts = [
            f"{what} {', '.join(map(repr, found))}"
            for what, found in (("lacks", missing), ("has unknown", extra), ("repeats", twice))
            if found
        ]
        return f"chunk action names do not fit {self._embodiment.name}: {'; '.join(parts)}"

    def _check_time(self, chunk: IncomingChunk, now_ns: int) -> Refusal | None:
        past_s = (now_ns - chunk.stamp_ns) * S_PER_NS
        length_s = max(chunk.horizon - 1, 1) * chunk.step_ns * S_PER_NS
        if past_s > length_s:
            return Refusal(
                RefusalRule.STALE,
                f"chunk ended {past_s - length_s:.3f} s ago (stamped {past_s:.3f} s ago, "
                f"{length_s:.3f} s long)",
            )
        if -past_s > self._tuning.chunk_max_future_s:
            return Refusal(
                RefusalRule.FUTURE,
                f"chunk is stamped {-past_s:.3f} s ahead of the clock; "
                f"at most {self._tuning.chunk_max_future_s:g} s is accepted",
            )
        age_s = (now_ns - chunk.observation_stamp_ns) * S_PER_NS
        if not -self._tuning.chunk_max_future_s <= age_s <= self._tuning.chunk_max_age_s:
            return Refusal(
                RefusalRule.OBSERVATION,
                f"chunk was computed from an observation {age_s:.3f} s old; "
                f"at most {self._tuning.chunk_max_age_s:g} s is accepted",
            )
        return self._check_handover(chunk)

    def _check_handover(self, chunk: IncomingChunk) -> Refusal | None:
        if self._handover is None:
            return None
        since_ns, event = self._handover
        if chunk.observation_stamp_ns > since_ns:
            return None
        return Refusal(
            RefusalRule.HANDOVER,
            f"chunk {chunk.sequence} was computed from an observation "
            f"{(since_ns - chunk.observation_stamp_ns) * S_PER_NS:.3f} s older than {event}",
        )

    def _check_order(self, chunk: IncomingChunk, _now_ns: int) -> Refusal | None:
        if self._source is None:
            return None
        if chunk.source_id != self._source:
            return Refusal(
                RefusalRule.SOURCE,
                f"chunk comes from {chunk.source_id!r} while {self._source!r} drives the robot; "
                "stop one of the two policies",
            )
        if chunk.sequence <= self._sequence:
            return Refusal(
                RefusalRule.SEQUENCE,
                f"chunk {chunk.sequence} came after chunk {self._sequence} of the same source",
            )
        return None

    def _ordered(self, chunk: IncomingChunk) -> ActionChunk:
        shape = (chunk.horizon, len(self._names))
        actions: NDArray[np.float64] = chunk.data.astype(np.float64).reshape(shape)
        if chunk.names != self._names:
            actions = actions[:, [chunk.names.index(name) for name in self._names]]
        return ActionChunk(
            stamp_ns=chunk.stamp_ns,
            step_ns=chunk.step_ns,
            names=self._names,
            actions=actions,
            observation_stamp_ns=chunk.observation_stamp_ns,
            sequence=chunk.sequence,
            source_id=chunk.source_id,
            checkpoint_id=chunk.checkpoint_id,
        )
