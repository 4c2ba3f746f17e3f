"""What becomes of the chunks that were sent, as the executor tells it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Of the chunks that were sent: those that nobody takes up, as without an executor, never end.
_REMEMBERED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the executor reports: time [ns, ROS clock], counts in steps.

    ``executing`` is true while it executes a chunk of this policy; the others belong to it.
    ``chunk_step`` is the step the tick lies in, ``steps_consumed`` how many were begun.
    ``chunks_refused`` counts the chunks, of anyone, that it did not take.
    """

    stamp_ns: int
    executing: bool
    chunk_sequence: int
    chunk_step: int
    steps_consumed: int
    chunks_refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sent:
    """A published chunk: ``actions`` (H, A), row k due at ``stamp_ns + k * step``.

    When its inference began, ``follows_steps`` of chunk ``follows`` had begun, if one was
    being executed; row i of this one is row ``follows_steps + i`` of that one if it
    ``continues`` it.
    """

    sequence: int
    stamp_ns: int
    sent_ns: int
    actions: NDArray[np.float32]
    prompt: str
    checkpoint_id: str
    follows: int | None = None
    follows_steps: int = 0
    continues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptake:
    """The executor's first report of a chunk: the ``step`` it took it up at.

    ``left`` is the chunk it executed last before, of which it had begun ``left_steps``;
    ``directly`` if it did not hold in between.
    """

    sent: Sent
    step: int
    left: Sent | None
    left_steps: int
    directly: bool


class Follower:
    """Matches reports to the chunks sent.

    ``current`` is the chunk of ours being executed, if any, and ``steps`` how many of its
    steps were begun; ``last`` and ``last_steps`` are the latest that was, over holds too.
    ``reported_ns`` is the executor's latest tick.
    """

    def __init__(self, uptake_ns: int) -> None:
        self._uptake_ns = uptake_ns
        self.restart()

    def restart(self) -> None:
        """Forget every chunk and all that was reported."""
        self.newest: Sent | None = None
        self.current: Sent | None = None
        self.last: Sent | None = None
        self.last_steps = 0
        self._recent: dict[int, Sent] = {}
        self._taken_up = self._refused = False
        self._refusals: int | None = None
        self.reported_ns: int | None = None

    @property
    def steps(self) -> int:
        """Steps begun of ``current``; 0 without one."""
        return 0 if self.current is None else self.last_steps

    def sent(self, sent: Sent) -> None:
        """A chunk was published."""
        self.newest = sent
        self._recent[sent.sequence] = sent
        waiting = [n for n, s in self._recent.items() if s is not self.current]
        for sequence in waiting[:-_REMEMBERED]:
            del self._recent[sequence]
        self._taken_up = self._refused = False

    def clock_went_back(self, stamp_ns: int) -> bool:
        """Whether a report of this time contradicts the ones before."""
        return self.reported_ns is not None and stamp_ns < self.reported_ns

    def report(self, progress: Progress) -> Uptake | None:
        """Note where the executor is; the uptake of the newest chunk, once."""
        self.reported_ns = progress.stamp_ns
        if self._refusals is not None and progress.chunks_refused > self._refusals:
            self._refused = True
        self._refusals = progress.chunks_refused
        known = self._recent.get(progress.chunk_sequence) if progress.executing else None
        left, left_steps, directly = self.last, self.last_steps, self.current is not None
        self.current = known
        if known is None:
            return None
        self.last, self.last_steps = known, progress.steps_consumed
        self._recent = {n: s for n, s in self._recent.items() if n >= known.sequence}
        if known is not self.newest or self._taken_up:
            return None
        self._taken_up = True
        return Uptake(
            sent=known,
            step=progress.chunk_step,
            left=left,
            left_steps=left_steps,
            directly=directly,
        )

    def due(self, now_ns: int, steps: int) -> bool:
        """Whether nothing was sent; or ``steps`` of the newest chunk were begun, or it ended;
        or it was refused, or nobody took it up in time.
        """
        if self.newest is None:
            return True
        if self._taken_up:
            return self.current is not self.newest or self.steps >= steps
        if self._refused:
            return True
        # Also true after the clock jumped back.
        return not 0 <= now_ns - self.newest.sent_ns < self._uptake_ns
