"""Which published chunk the executor executes, and how far it is, from the executor's reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Without an executor, sent chunks are never acknowledged, so only the last 16 are remembered.
_REMEMBERED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorProgress:
    """One report of the executor: a time [ns, ROS clock] and counts of steps.

    ``executing`` is true while it executes a chunk of this policy. ``chunk_sequence``,
    ``chunk_step`` (the step that the tick lies in) and ``steps_consumed`` (steps begun) belong to
    that chunk. ``chunks_refused`` counts refused chunks of all policies.
    """

    stamp_ns: int
    executing: bool
    chunk_sequence: int
    chunk_step: int
    steps_consumed: int
    chunks_refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentChunk:
    """A published chunk: ``actions`` (H, A), row k due at ``stamp_ns + k * step``.

    ``previous`` is the sequence of the chunk that was being executed when this one's inference
    began, if there was one, and ``previous_steps`` how many of its steps had begun. If this chunk
    ``continues`` it, row i of this one is row ``previous_steps + i`` of that one.
    """

    sequence: int
    stamp_ns: int
    sent_ns: int
    actions: NDArray[np.float32]
    prompt: str
    checkpoint_id: str
    previous: int | None = None
    previous_steps: int = 0
    continues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkStart:
    """The executor's first report of a ``chunk``, which it started at ``step``.

    ``previous`` is the chunk that it executed before, of which ``previous_steps`` had begun.
    ``without_hold``: it did not hold in between.
    """

    chunk: SentChunk
    step: int
    previous: SentChunk | None
    previous_steps: int
    without_hold: bool


class ChunkTracker:
    """Matches the executor's reports to the chunks that were sent.

    ``current`` is the chunk of this policy that is being executed, if there is one. ``last`` is the
    latest chunk that was executed, also after a hold, and ``last_steps`` how many of its steps had
    begun. ``reported_ns`` is the time of the executor's latest tick. A chunk that the executor does
    not start within ``start_timeout_ns`` counts as refused.
    """

    def __init__(self, start_timeout_ns: int) -> None:
        self._start_timeout_ns = start_timeout_ns
        self.restart()

    def restart(self) -> None:
        """Forget every chunk and every report."""
        self.newest: SentChunk | None = None
        self.current: SentChunk | None = None
        self.last: SentChunk | None = None
        self.last_steps = 0
        self._recent: dict[int, SentChunk] = {}
        self._started = self._refused = False
        self._refusals: int | None = None
        self.reported_ns: int | None = None

    @property
    def steps(self) -> int:
        """Steps of ``current`` that have begun; 0 without one."""
        return 0 if self.current is None else self.last_steps

    def add(self, chunk: SentChunk) -> None:
        """Note a chunk that was published."""
        self.newest = chunk
        self._recent[chunk.sequence] = chunk
        waiting = [n for n, sent in self._recent.items() if sent is not self.current]
        for sequence in waiting[:-_REMEMBERED]:
            del self._recent[sequence]
        self._started = self._refused = False

    def clock_went_back(self, stamp_ns: int) -> bool:
        """Whether a report of this time is older than the one before."""
        return self.reported_ns is not None and stamp_ns < self.reported_ns

    def report(self, progress: ExecutorProgress) -> ChunkStart | None:
        """Note a report; returns the start of the newest chunk, once."""
        self.reported_ns = progress.stamp_ns
        if self._refusals is not None and progress.chunks_refused > self._refusals:
            self._refused = True
        self._refusals = progress.chunks_refused
        executed = self._recent.get(progress.chunk_sequence) if progress.executing else None
        previous, previous_steps = self.last, self.last_steps
        without_hold = self.current is not None
        self.current = executed
        if executed is None:
            return None
        self.last, self.last_steps = executed, progress.steps_consumed
        self._recent = {n: sent for n, sent in self._recent.items() if n >= executed.sequence}
        if executed is not self.newest or self._started:
            return None
        self._started = True
        return ChunkStart(
            chunk=executed,
            step=progress.chunk_step,
            previous=previous,
            previous_steps=previous_steps,
            without_hold=without_hold,
        )

    def is_due(self, now_ns: int, steps: int) -> bool:
        """Whether the next inference is due.

        It is due before the first chunk, after ``steps`` of the newest chunk have begun, after the
        newest chunk ended or was refused, and when the executor did not start it in time.
        """
        if self.newest is None:
            return True
        if self._started:
            return self.current is not self.newest or self.steps >= steps
        if self._refused:
            return True
        # This is also true after the clock jumped back.
        return not 0 <= now_ns - self.newest.sent_ns < self._start_timeout_ns
