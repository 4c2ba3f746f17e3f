"""When the next chunk is due."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the executor reports: times [ns, ROS clock], counts in steps."""

    stamp_ns: int
    executing: bool
    chunk_sequence: int
    checkpoint_id: str
    steps_consumed: int


class SequentialStrategy:
    """Infer, let ``execution_steps`` be executed, infer again.

    A chunk is due when none was sent; when the executor has begun
    ``execution_steps`` steps of the last one, or stopped executing it; or when it
    has not taken it up within ``uptake_ns``: it refused it, or is not there.
    """

    def __init__(self, *, execution_steps: int, uptake_ns: int) -> None:
        self._execution_steps = execution_steps
        self._uptake_ns = uptake_ns
        self.restart()

    def restart(self) -> None:
        """Begin anew: nothing sent, nothing known of the executor."""
        self._sent_sequence: int | None = None
        self._sent_ns = 0
        self._sent_checkpoint_id = ""
        self._taken_up = False
        self._finished = False

    def sent(self, sequence: int, stamp_ns: int, checkpoint_id: str) -> None:
        """A chunk was published, of this checkpoint."""
        self._sent_sequence = sequence
        self._sent_ns = stamp_ns
        self._sent_checkpoint_id = checkpoint_id
        self._taken_up = self._finished = False

    def report(self, progress: Progress) -> None:
        """The executor said where it is."""
        if self._sent_sequence is None or progress.stamp_ns < self._sent_ns:
            return
        follows_ours = (
            progress.executing
            and progress.chunk_sequence == self._sent_sequence
            and progress.checkpoint_id == self._sent_checkpoint_id
        )
        if follows_ours:
            self._taken_up = True
            self._finished = progress.steps_consumed >= self._execution_steps
        elif self._taken_up:
            self._finished = True

    def due(self, now_ns: int) -> bool:
        """Whether to infer on the newest observation."""
        if self._sent_sequence is None:
            return True
        if self._taken_up:
            return self._finished
        # Also true after the clock jumped back.
        return not 0 <= now_ns - self._sent_ns < self._uptake_ns
