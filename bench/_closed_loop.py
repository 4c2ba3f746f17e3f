"""A strategy and the real executor in simulated time, with any function as the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control import Executor, ExecutorState, IncomingChunk, Tick, Tuning
from pi0_ros.embodiment import Embodiment
from pi0_ros.policy.strategy import (
    ChunkTiming,
    ExecutorProgress,
    InferenceRequest,
    PlacedChunk,
    Strategy,
)
from pi0_ros.policy.types import RemainingActions

Array = NDArray[np.float64]
#: Actions (H, A) for a robot at (A,) at a time [s], continuing a remaining if given.
Infer = Callable[[Array, float, RemainingActions | None], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """The executor switched from one chunk to another at ``tick``.

    ``jumps``: largest difference between both chunks at that time over the joints, of
    position, velocity and acceleration.
    """

    tick: int
    jumps: tuple[float, float, float]


@dataclass(slots=True, kw_only=True)
class Run:
    """The result of a run: ``commands`` (T, A), a row per tick."""

    dt_s: float
    start_ns: int
    commands: Array = field(default_factory=lambda: np.zeros((0, 0)))
    splices: list[Splice] = field(default_factory=list)
    hits: int = 0
    underruns: int = 0
    inferences: int = 0

    @property
    def times_s(self) -> Array:
        """Time of each row [s]."""
        return self.start_ns * 1e-9 + self.dt_s * np.arange(len(self.commands))


def timing_of(robot: Embodiment) -> ChunkTiming:
    """The timing of the robot, as a strategy needs it."""
    rates = robot.rates
    return ChunkTiming(
        horizon=rates.horizon,
        execution_steps=rates.execution_steps,
        step_ns=round(1e9 / rates.chunk_hz),
        start_timeout_ns=round(robot.sync.observation_timeout_s * 1e9),
    )


def run(robot: Embodiment, strategy: Strategy, infer: Infer, *, delay: int, ticks: int) -> Run:
    """Run executor and strategy; an inference ends ``delay`` + 0.5 steps after its start.

    The robot starts in its home pose and follows its commands exactly.
    """
    period_ns = round(1e9 / robot.rates.control_hz)
    executor, chunks = _executor(robot), dict[int, PlacedChunk]()
    result = Run(dt_s=period_ns * 1e-9, start_ns=10**10)
    now_ns, sequence, commands = result.start_ns, 0, []
    running: tuple[InferenceRequest, Array, int] | None = None
    last: Tick | None = None
    for number in range(ticks):
        now_ns += period_ns
        for topic in executor.joints.topics:
            executor.joints.heard(topic, now_ns)
        executor.observe(now_ns, now_ns)
        tick = executor.tick(now_ns)
        commands.append(tick.command)
        splice = _splice(chunks, last, tick, number)
        if splice is not None:
            result.splices.append(splice)
        last = tick
        strategy.report(_progress(tick))
        if running is None:
            request = strategy.request(now_ns, prompt="", checkpoint_id="bench", can_continue=True)
            if request is not None:
                actions = infer(tick.command, now_ns * 1e-9, request.remaining)
                running = (request, actions, number + delay)
                result.inferences += 1
        if running is not None and running[2] <= number:
            (request, actions, _), running = running, None
            sent_ns = now_ns + period_ns // 2
            placed = strategy.place(request, actions.astype(np.float32), sent_ns, sequence)
            if placed is not None:
                executor.offer(_chunk(robot, placed, sequence, sent_ns), sent_ns)
                chunks[sequence] = placed
                sequence += 1
    result.commands = np.array(commands)
    result.hits = int(executor.hits.sum())
    result.underruns = executor.underruns
    return result


def _executor(robot: Embodiment) -> Executor:
    """An executor that has received the robot's home pose."""
    executor = Executor(robot, Tuning())
    home = dict(zip([d.state for d in robot.action], robot.home, strict=True))
    for topic in executor.joints.topics:
        dims = [d for d in robot.state if d.topic == topic]
        raw = [(home[d.name] - d.offset) / d.scale for d in dims]
        executor.joints.update(topic, [d.joint for d in dims], raw, [], [])
    return executor


def _progress(tick: Tick) -> ExecutorProgress:
    return ExecutorProgress(
        stamp_ns=tick.now_ns,
        executing=tick.state is ExecutorState.EXECUTING,
        chunk_sequence=0 if tick.chunk is None else tick.chunk.sequence,
        chunk_step=tick.step,
        steps_consumed=tick.steps_consumed,
    )


def _chunk(robot: Embodiment, placed: PlacedChunk, sequence: int, now_ns: int) -> IncomingChunk:
    return IncomingChunk(
        stamp_ns=placed.stamp_ns,
        step_ns=round(1e9 / robot.rates.chunk_hz),
        names=robot.action_names,
        horizon=robot.rates.horizon,
        data=placed.actions.reshape(-1),
        observation_stamp_ns=now_ns,
        sequence=sequence,
        source_id="bench",
        embodiment=robot.name,
        checkpoint_id="bench",
    )


def _splice(
    chunks: dict[int, PlacedChunk], last: Tick | None, tick: Tick, number: int
) -> Splice | None:
    """The splice at this tick, or None. Compares both chunks now and at the next two steps."""
    if last is None or last.chunk is None or tick.chunk is None:
        return None
    if last.chunk.sequence == tick.chunk.sequence:
        return None
    step_ns = tick.chunk.step_ns
    times_ns = tick.now_ns + step_ns * np.arange(3)
    old, new = (_rows(chunks[c.sequence], times_ns, step_ns) for c in (last.chunk, tick.chunk))
    apart, dt_s = new - old, step_ns * 1e-9
    orders = apart[0], (apart[1] - apart[0]) / dt_s, (apart[2] - 2 * apart[1] + apart[0]) / dt_s**2
    jumps = tuple(float(np.abs(order).max()) for order in orders)
    return Splice(tick=number, jumps=(jumps[0], jumps[1], jumps[2]))


def _rows(placed: PlacedChunk, times_ns: NDArray[np.int64], step_ns: int) -> Array:
    """Rows (3, A) of a chunk at these times, interpolated linearly."""
    steps = (times_ns - placed.stamp_ns) / step_ns
    rows = np.arange(len(placed.actions))
    return np.array([np.interp(steps, rows, column) for column in placed.actions.T]).T
