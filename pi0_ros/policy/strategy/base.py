"""What all strategies share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.strategy.follower import Follower, Progress, Sent, Uptake
from pi0_ros.policy.types import Leftover


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of the robot: rows of a chunk, how many of them are executed, and how long one lasts.

    ``uptake_ns``: time after which a chunk that nobody took up counts as refused.
    """

    horizon: int
    execution_steps: int
    step_ns: int
    uptake_ns: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """The beginning of an inference.

    ``during`` is the chunk that was being executed and ``steps`` how many steps of it had
    begun. If the new chunk ``continues`` it, row i of the new one is its row ``steps + i``.
    """

    epoch: int
    prompt: str
    checkpoint_id: str
    during: Sent | None = None
    steps: int = 0
    continues: bool = False
    leftover: Leftover | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What is published: ``actions`` (H, A) from ``stamp_ns`` on.

    The first ``frozen_prefix`` rows were asked to repeat the chunk before.
    """

    stamp_ns: int
    actions: NDArray[np.float32]
    frozen_prefix: int = 0


class Strategy(ABC):
    """Decides when to infer and where the chunk goes. Calls must not overlap.

    ``report`` what the executor says; ``begin`` gives a start when a chunk is due, and
    ``place`` takes its actions when they are there. A chunk that continues another is
    dropped if that one is no longer being executed: it was computed for a robot in motion,
    and what the robot does next begins where it stands.
    """

    name: str

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._follower = Follower(pace.uptake_ns)
        self._epoch = 0
        self.dropped = 0

    def restart(self) -> None:
        """Forget what was sent; an inference still running will be dropped."""
        self._epoch += 1
        self._follower.restart()

    def report(self, progress: Progress) -> Uptake | None:
        """The executor said where it is; the uptake of the newest chunk, once.

        If its clock went back, begin anew.
        """
        if self._follower.clock_went_back(progress.stamp_ns):
            self.restart()
        return self._follower.report(progress)

    def begin(
        self, now_ns: int, *, prompt: str, checkpoint_id: str, can_continue: bool
    ) -> Start | None:
        """How to infer now, or None while no chunk is due.

        ``can_continue``: whether this backend takes a leftover.
        """
        if not self._follower.due(now_ns, self._steps_between()):
            return None
        plain = Start(
            epoch=self._epoch,
            prompt=prompt,
            checkpoint_id=checkpoint_id,
            during=self._follower.current,
            steps=self._follower.steps,
        )
        return self._begin(plain, can_continue)

    def place(
        self, start: Start, actions: NDArray[np.float32], now_ns: int, sequence: int
    ) -> Placed | None:
        """Where the chunk begun with ``start`` goes; None if it must not be published."""
        if start.epoch != self._epoch:
            return None
        if start.continues and self._follower.current is not start.during:
            self._drop(start)
            return None
        placed = self._place(start, actions, now_ns)
        self._follower.sent(
            Sent(
                sequence=sequence,
                stamp_ns=placed.stamp_ns,
                sent_ns=now_ns,
                actions=placed.actions,
                prompt=start.prompt,
                checkpoint_id=start.checkpoint_id,
                follows=None if start.during is None else start.during.sequence,
                follows_steps=start.steps,
                continues=start.continues,
            )
        )
        return placed

    def values(self) -> dict[str, str]:
        """What an operator wants to know, by name."""
        return {"strategy": self.name, "chunks_dropped": str(self.dropped)}

    @abstractmethod
    def _steps_between(self) -> int:
        """Steps of a chunk to be begun before the next inference."""

    @abstractmethod
    def _begin(self, plain: Start, can_continue: bool) -> Start:
        """The start to use, given the one of an inference that continues nothing."""

    @abstractmethod
    def _place(self, start: Start, actions: NDArray[np.float32], now_ns: int) -> Placed:
        """Where the chunk goes; what it continues is still being executed."""

    def _drop(self, start: Start) -> None:
        """A chunk came after what it continues had ended."""
        self.dropped += 1

    def _grid_ns(self, start: Start) -> int:
        """When row 0 of a chunk that continues ``start.during`` is due."""
        if start.during is None:
            raise ValueError("this start continues nothing")
        return start.during.stamp_ns + start.steps * self._pace.step_ns


def same_task(start: Start) -> bool:
    """Whether a chunk is being executed that follows the prompt and checkpoint of ``start``."""
    during = start.during
    return during is not None and (during.prompt, during.checkpoint_id) == (
        start.prompt,
        start.checkpoint_id,
    )
