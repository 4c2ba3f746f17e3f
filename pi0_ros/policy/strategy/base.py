"""The interface of a chunk strategy, and what all strategies share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.strategy.chunk_tracker import (
    ChunkStart,
    ChunkTracker,
    ExecutorProgress,
    SentChunk,
)
from pi0_ros.policy.types import RemainingActions


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTiming:
    """Rows of a chunk, how many of them are executed, and how long one lasts on this robot.

    ``start_timeout_ns``: a chunk that the executor does not start within it counts as refused.
    """

    horizon: int
    execution_steps: int
    step_ns: int
    start_timeout_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """The options of a strategy that has none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceRequest:
    """How to run one inference.

    ``executing`` is the chunk that is being executed, and ``steps`` how many of its steps have
    begun. If the new chunk ``continues`` it, row i of the new chunk is its row ``steps + i``, and
    ``remaining`` is what the backend is told of it.
    """

    epoch: int
    prompt: str
    checkpoint_id: str
    executing: SentChunk | None = None
    steps: int = 0
    continues: bool = False
    remaining: RemainingActions | None = None

    @property
    def is_same_task(self) -> bool:
        """Whether the executed chunk follows the prompt and checkpoint of this request."""
        chunk = self.executing
        return chunk is not None and (chunk.prompt, chunk.checkpoint_id) == (
            self.prompt,
            self.checkpoint_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedChunk:
    """What is published: ``actions`` (H, A) from ``stamp_ns`` on.

    The first ``frozen_prefix`` rows were asked to repeat the previous chunk.
    """

    stamp_ns: int
    actions: NDArray[np.float32]
    frozen_prefix: int = 0


class Strategy(ABC):
    """Decides when to infer and at which time a chunk starts. Calls must not overlap.

    The owner calls :meth:`report` with every report of the executor, :meth:`request` to learn
    whether a chunk is due, and :meth:`place` with the actions of the inference. A chunk that
    continues another is dropped if that one is no longer being executed: it was computed for a
    robot in motion, and the next motion starts where the robot stands.

    To add a strategy, subclass this and name it in :mod:`pi0_ros.extensions`, or in the entry-point
    group ``pi0_ros.strategies`` of your own package. ``Options`` is a frozen dataclass
    of int, float and str fields with defaults; each becomes the ROS parameter ``option_prefix`` +
    field name, described by ``metadata["description"]``.
    """

    name: ClassVar[str]
    #: One line for ``--help`` and the launch arguments.
    description: ClassVar[str]
    Options: ClassVar[type] = NoOptions
    option_prefix: ClassVar[str] = ""
    #: Whether the backend must be able to continue a chunk.
    needs_continuation: ClassVar[bool] = False

    def __init__(self, timing: ChunkTiming, options: Any = None) -> None:
        self._timing = timing
        self._options = self.Options() if options is None else options
        self._tracker = ChunkTracker(timing.start_timeout_ns)
        self._epoch = 0
        self.dropped = 0

    def restart(self) -> None:
        """Forget the sent chunks; the result of a running inference will be dropped."""
        self._epoch += 1
        self._tracker.restart()

    def report(self, progress: ExecutorProgress) -> ChunkStart | None:
        """Note a report of the executor; returns the start of the newest chunk, once.

        If the clock went back, everything before is forgotten.
        """
        if self._tracker.clock_went_back(progress.stamp_ns):
            self.restart()
        return self._tracker.report(progress)

    def request(
        self, now_ns: int, *, prompt: str, checkpoint_id: str, can_continue: bool
    ) -> InferenceRequest | None:
        """How to infer now, or None while no chunk is due.

        ``can_continue``: whether the backend can continue a chunk.
        """
        if not self._tracker.is_due(now_ns, self._steps_between()):
            return None
        plain = InferenceRequest(
            epoch=self._epoch,
            prompt=prompt,
            checkpoint_id=checkpoint_id,
            executing=self._tracker.current,
            steps=self._tracker.steps,
        )
        return self._request(plain, can_continue)

    def place(
        self, request: InferenceRequest, actions: NDArray[np.float32], now_ns: int, sequence: int
    ) -> PlacedChunk | None:
        """The chunk to publish for a request, or None if none must be published."""
        if request.epoch != self._epoch:
            return None
        if request.continues and self._tracker.current is not request.executing:
            self._drop(request)
            return None
        placed = self._place(request, actions, now_ns)
        executing = request.executing
        self._tracker.add(
            SentChunk(
                sequence=sequence,
                stamp_ns=placed.stamp_ns,
                sent_ns=now_ns,
                actions=placed.actions,
                prompt=request.prompt,
                checkpoint_id=request.checkpoint_id,
                previous=None if executing is None else executing.sequence,
                previous_steps=request.steps,
                continues=request.continues,
            )
        )
        return placed

    def values(self) -> dict[str, str]:
        """Diagnostics by key."""
        return {"strategy": self.name, "chunks_dropped": str(self.dropped)}

    @abstractmethod
    def _steps_between(self) -> int:
        """Steps of a chunk that begin before the next inference."""

    @abstractmethod
    def _request(self, plain: InferenceRequest, can_continue: bool) -> InferenceRequest:
        """The request to use, given the one that continues no chunk."""

    @abstractmethod
    def _place(
        self, request: InferenceRequest, actions: NDArray[np.float32], now_ns: int
    ) -> PlacedChunk:
        """The chunk to publish; if it continues another, that one is still being executed."""

    def _drop(self, request: InferenceRequest) -> None:
        """Count a chunk that came after the one it continues had ended."""
        self.dropped += 1

    def _continuation_ns(self, request: InferenceRequest) -> int:
        """When row 0 of a chunk that continues ``request.executing`` is due."""
        if request.executing is None:
            raise ValueError("this request continues no chunk")
        return request.executing.stamp_ns + request.steps * self._timing.step_ns
