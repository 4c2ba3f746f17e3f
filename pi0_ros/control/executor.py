"""The executor's state machine: chunks and clocks in, one limited command per tick out.

No ROS and no clock of its own: every method that depends on time takes ``now_ns``, on
the ROS clock. One invariant above all: what was dropped never resumes. A hold for
whatever reason drops the chunk being executed and the one waiting, and only a chunk
accepted afterwards ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pi0_ros.control.blend import Blender, Path
from pi0_ros.control.chunk import ActionChunk, ChunkGate, IncomingChunk, Refusal, Rule
from pi0_ros.control.limits import Limiter
from pi0_ros.control.measured import JointWatch
from pi0_ros.control.stop import StopPlan
from pi0_ros.control.timeline import Timeline
from pi0_ros.control.tuning import Tuning
from pi0_ros.embodiment import Embodiment

_NS = 1e-9


class State(IntEnum):
    """As in pi0_msgs/msg/ExecutorStatus."""

    INACTIVE = 0
    WAITING = 1
    HOLDING = 2
    EXECUTING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Result of one tick. ``command`` and ``velocity`` have shape (A,); NaN while waiting.

    ``publish`` says for each controller of the embodiment whether its command is sent.
    ``step`` and ``steps_consumed`` belong to ``chunk``, the one being executed.
    """

    now_ns: int
    state: State
    reason: str
    command: NDArray[np.float64]
    velocity: NDArray[np.float64]
    publish: tuple[bool, ...]
    chunk: ActionChunk | None = None
    step: int = 0
    steps_consumed: int = 0


class Executor:
    """Follows chunks within limits and reaches the safe stop when it cannot.

    A new instance knows nothing: it waits for joint states, takes the measured pose
    as the commanded one, holds it, and moves when the first chunk is accepted.
    Calls must not overlap; the owner locks where it has threads.
    """

    def __init__(self, embodiment: Embodiment, tuning: Tuning) -> None:
        self._limits = embodiment.limits
        self._period_s = 1.0 / embodiment.rates.control_hz
        self._tuning = tuning
        self._observation_timeout_s = embodiment.sync.observation_timeout_s
        self.joints = JointWatch(embodiment, tuning.joint_state_timeout_s)
        self.gate = ChunkGate(embodiment, tuning)
        self._stop = StopPlan(embodiment)
        self._limiter: Limiter | None = None
        self._blender = Blender(self._limits, tuning.splice_s, self._period_s)
        self._current: Path | None = None
        self._pending: Timeline | None = None
        self._observed_ns: int | None = None
        self._now_ns: int | None = None
        self._stopping: str | None = None
        self._reason = "waiting for the first chunk"
        self._silent = (False,) * len(embodiment.controllers)
        self._unknown: NDArray[np.float64] = np.full(len(embodiment.action), np.nan)
        self._no_hits = np.zeros((4, len(embodiment.action)), dtype=np.uint64)
        self.ticks = 0
        self.underruns = 0
        self.chunks_executed = 0

    @property
    def hits(self) -> NDArray[np.uint64]:
        """Limited ticks by position, velocity, acceleration and jerk, shape (4, A)."""
        return self._limiter.hits if self._limiter is not None else self._no_hits

    @property
    def is_stopped(self) -> bool:
        """Whether a requested stop has been reached."""
        if self._limiter is None:
            return True
        return self._stopping is not None and self._stop.is_reached(self._limiter)

    def observe(self, stamp_ns: int, now_ns: int) -> None:
        """Note an observation. Its age counts from its stamp, even if it repeats."""
        fresh_ns = min(stamp_ns, now_ns)
        if self._observed_ns is None or fresh_ns > self._observed_ns:
            self._observed_ns = fresh_ns

    def observation_age_s(self, now_ns: int) -> float | None:
        """Age of the newest observation, or None before the first."""
        if self._observed_ns is None:
            return None
        return (now_ns - self._observed_ns) * _NS

    def offer(self, incoming: IncomingChunk, now_ns: int) -> Refusal | None:
        """Take a chunk, to be executed from its stamp on; or say why not.

        It replaces what is left of the chunk before it: chunks are never queued.
        """
        if self._stopping is not None:
            return self.gate.refuse(
                Refusal(Rule.STOPPING, f"chunk {incoming.sequence} refused: {self._stopping}")
            )
        accepted = self.gate.accept(incoming, now_ns)
        if isinstance(accepted, Refusal):
            return accepted
        self._pending = Timeline(accepted)
        self.observe(accepted.observation_stamp_ns, now_ns)
        return None

    def hold(self, reason: str) -> None:
        """Drop every chunk and hold until a newer one is accepted."""
        self._current = self._pending = None
        self._reason = reason

    def request_stop(self, reason: str) -> None:
        """Begin the controlled stop, from which this instance does not return."""
        self._stopping = reason
        self.hold(reason)

    def final(self, tick: Tick) -> Tick:
        """The command to leave behind after ``tick``: its pose at rest, ramps at zero.

        It is the tick itself unless the stop was cut short.
        """
        return replace(
            tick,
            command=np.where(self._stop.to_zero, 0.0, tick.command),
            velocity=np.zeros_like(tick.velocity),
        )

    def tick(self, now_ns: int) -> Tick:
        """Advance by one period of the control rate. ``now_ns``: the tick's deadline."""
        self.ticks += 1
        self._check_clock(now_ns)
        if self._limiter is None:
            waiting = self.joints.problem(now_ns)
            if waiting is not None:
                return self._waiting(now_ns, waiting)
            self._limiter = Limiter(self._limits, self._period_s, self.joints.action())
        problem = self._problem(now_ns)
        if problem is not None:
            self.hold(problem)
        else:
            self._advance(now_ns, self._limiter)
        if self._current is None:
            return self._holding(now_ns, self._limiter)
        return self._executing(now_ns, self._limiter, self._current)

    def _check_clock(self, now_ns: int) -> None:
        before_ns, self._now_ns = self._now_ns, now_ns
        if before_ns is None or now_ns >= before_ns:
            return
        self.hold(f"the clock jumped back by {(before_ns - now_ns) * _NS:.3f} s")
        self.gate.forget_source()
        self.joints.clock_went_back(now_ns)
        self._observed_ns = None

    def _problem(self, now_ns: int) -> str | None:
        if self._stopping is not None:
            return self._stopping
        problem = self.joints.problem(now_ns)
        if problem is not None:
            return problem
        age_s = self.observation_age_s(now_ns)
        if age_s is not None and age_s > self._observation_timeout_s:
            return f"observation is {age_s:.2f} s old (limit {self._observation_timeout_s:g} s)"
        return None

    def _advance(self, now_ns: int, limiter: Limiter) -> None:
        """Let the pending chunk begin if it is due; end the current one if it is over."""
        if self._pending is not None and self._pending.chunk.stamp_ns <= now_ns:
            self._current = self._splice(self._pending, now_ns, limiter)
            self._pending = None
            self.chunks_executed += 1
        if self._current is not None and now_ns > self._current.end_ns:
            self.underruns += 1
            self._reason = f"chunk {self._current.chunk.sequence} is exhausted"
            self._current = None

    def _splice(self, timeline: Timeline, now_ns: int, limiter: Limiter) -> Path:
        old, commanded = self._current, limiter.motion
        if old is None or now_ns > old.end_ns:
            return self._blender.begin(timeline, now_ns, commanded)
        return self._blender.splice(old, timeline, now_ns, commanded)

    def _executing(self, now_ns: int, limiter: Limiter, path: Path) -> Tick:
        limiter.track(*path.sample(now_ns))
        step = path.timeline.step_at(now_ns)
        return Tick(
            now_ns=now_ns,
            state=State.EXECUTING,
            reason="",
            command=limiter.position,
            velocity=limiter.velocity,
            publish=self._stop.executing(),
            chunk=path.chunk,
            step=step,
            steps_consumed=step + 1,
        )

    def _holding(self, now_ns: int, limiter: Limiter) -> Tick:
        publish = self._stop.holding(limiter)
        return Tick(
            now_ns=now_ns,
            state=State.HOLDING,
            reason=self._reason,
            command=limiter.position,
            velocity=limiter.velocity,
            publish=publish,
        )

    def _waiting(self, now_ns: int, reason: str) -> Tick:
        self.hold("waiting for the first chunk")
        return Tick(
            now_ns=now_ns,
            state=State.WAITING,
            reason=self._stopping or reason,
            command=self._unknown,
            velocity=self._unknown,
            publish=self._silent,
        )
