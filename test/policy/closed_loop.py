"""A strategy and the real executor in simulated time; the test is the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control import Executor, ExecutorState, IncomingChunk, Tick, Tuning
from pi0_ros.embodiment import load
from pi0_ros.policy.strategy import (
    ChunkTiming,
    ExecutorProgress,
    InferenceRequest,
    PlacedChunk,
    Strategy,
)

ROBOT = load("bimanual_trossen")
RATES = ROBOT.rates
PERIOD_NS = round(1e9 / RATES.control_hz)
TIMING = ChunkTiming(
    horizon=RATES.horizon,
    execution_steps=RATES.execution_steps,
    step_ns=round(1e9 / RATES.chunk_hz),
    start_timeout_ns=round(ROBOT.sync.observation_timeout_s * 1e9),
)
A = len(ROBOT.action)


def ramp(request: InferenceRequest, first: float) -> NDArray[np.float32]:
    """Continues the remaining actions, if any, then ramps by 1 mrad per step in every joint."""
    rows = np.empty((TIMING.horizon, A), dtype=np.float32)
    known = 0 if request.remaining is None else len(request.remaining.actions)
    if request.remaining is not None:
        rows[:known] = request.remaining.actions
        first = float(rows[known - 1, 0]) + 1e-3
    rows[known:] = first + 1e-3 * np.arange(TIMING.horizon - known)[:, None]
    return rows


@dataclass
class Published:
    """A chunk that was offered to the executor; ``started_at``: the step it started at."""

    sequence: int
    request: InferenceRequest
    placed: PlacedChunk
    refused: bool
    started_at: int | None = None


@dataclass
class Loop:
    """One tick is one step: executor tick, report, start and end of an inference.

    ``delays``: an inference takes so many and a half steps; the last entry repeats.
    """

    strategy: Strategy
    delays: list[int]
    network: Callable[[InferenceRequest, float], NDArray[np.float32]] = ramp
    prompt: str = "fold"
    checkpoint_id: str = "robot@1"
    can_continue: bool = True
    now_ns: int = 10**10
    published_ns: int = 0
    ticks: list[Tick] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    begun: list[InferenceRequest] = field(default_factory=list)
    lost: int = 0
    refuse_next: bool = False
    connected: bool = True

    def __post_init__(self) -> None:
        self._delay = chain(self.delays, repeat(self.delays[-1]))
        self._sequence = 0
        self._running: tuple[InferenceRequest, NDArray[np.float32], int] | None = None
        self.restart_executor()

    def restart_executor(self) -> None:
        """Replace the executor by one without any state."""
        self.executor = Executor(ROBOT, Tuning())
        for topic in self.executor.joints.topics:
            dims = [d for d in ROBOT.state if d.topic == topic]
            rest = [-d.offset / d.scale for d in dims]
            self.executor.joints.update(topic, [d.joint for d in dims], rest, [], [])

    def run(self, ticks: int) -> Loop:
        for _ in range(ticks):
            self.step()
        return self

    def run_until(self, condition: Callable[[Loop], Any], limit: int = 1000) -> Loop:
        for _ in range(limit):
            if condition(self):
                return self
            self.step()
        raise AssertionError(f"not seen within {limit} ticks")

    def step(self) -> None:
        self.now_ns += PERIOD_NS
        for topic in self.executor.joints.topics:
            self.executor.joints.heard(topic, self.now_ns)
        self.executor.observe(self.now_ns, self.now_ns)
        tick = self.executor.tick(self.now_ns)
        self.ticks.append(tick)
        if self.connected:
            self.report(tick)
        if self._running is None:
            self._begin(tick)
        if self._running is not None and self._running[2] <= len(self.ticks):
            self._end()

    def report(self, tick: Tick) -> None:
        """Report a tick to the strategy, as ExecutorStatus does."""
        sequence = 0 if tick.chunk is None else tick.chunk.sequence
        executing = tick.state is ExecutorState.EXECUTING
        if executing and self.published[sequence].started_at is None:
            self.published[sequence].started_at = tick.step
        self.strategy.report(
            ExecutorProgress(
                stamp_ns=tick.now_ns,
                executing=executing,
                chunk_sequence=sequence,
                chunk_step=tick.step,
                steps_consumed=tick.steps_consumed,
                chunks_refused=self.executor.chunk_admission.refused.total(),
            )
        )

    @property
    def inferring(self) -> bool:
        return self._running is not None

    @property
    def newest(self) -> Published:
        return self.published[-1]

    def _begin(self, tick: Tick) -> None:
        request = self.strategy.request(
            self.now_ns,
            prompt=self.prompt,
            checkpoint_id=self.checkpoint_id,
            can_continue=self.can_continue,
        )
        if request is not None:
            self.begun.append(request)
            actions = self.network(request, float(np.nan_to_num(tick.command[0])))
            self._running = (request, actions, len(self.ticks) + next(self._delay))

    def _end(self) -> None:
        assert self._running is not None
        (request, actions, _), self._running = self._running, None
        self.published_ns = self.now_ns + PERIOD_NS // 2
        placed = self.strategy.place(request, actions, self.published_ns, self._sequence)
        if placed is None:
            self.lost += 1
            return
        chunk = IncomingChunk(
            stamp_ns=placed.stamp_ns,
            step_ns=TIMING.step_ns,
            names=ROBOT.action_names,
            horizon=TIMING.horizon,
            data=placed.actions.reshape(-1),
            observation_stamp_ns=self.now_ns,
            sequence=self._sequence,
            source_id="policy",
            embodiment="another" if self.refuse_next else ROBOT.name,
            checkpoint_id=request.checkpoint_id,
        )
        refusal = self.executor.offer(chunk, self.published_ns)
        self.refuse_next = False
        self.published.append(Published(self._sequence, request, placed, refusal is not None))
        self._sequence += 1
