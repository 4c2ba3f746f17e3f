"""Computes the figures of a recording and checks that the control loop was closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pi0_bringup.demo.recording import Recording
from pi0_ros.embodiment import Embodiment

#: Least share of ticks that must follow a chunk.
EXECUTING_SHARE = 0.5
#: Least number of chunks, as a share of those that fit into the duration.
CHUNK_SHARE = 0.5
#: Largest 95th percentile of the command's distance from its chunk [share of the range].
FOLLOWED = 0.2
#: Movement below this is noise [units of the joint].
MOVED = 1e-3
#: Least standard deviation of a picture that is not blank [grey levels].
CONTRAST = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and 95th percentile."""

    p50: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float], scale: float = 1.0) -> Spread:
        """Statistics of the values times ``scale``; NaN if there are none."""
        if not values:
            return cls(p50=float("nan"), p95=float("nan"))
        p50, p95 = np.percentile(values, (50, 95)) * scale
        return cls(p50=float(p50), p95=float(p95))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures of one run. Counts are since the executor was activated.

    ``following_error``: distance of the command from the chunk it follows, as a share
    of each dimension's range, over all ticks and dimensions.
    """

    robot_s: float
    wall_s: float
    chunks_executed: int
    chunks_accepted: int
    chunks_refused: int
    underruns: int
    executing_share: float
    following_error: Spread
    inference_ms: Spread
    observations: int
    observation_age_ms: Spread
    observation_skew_ms: Spread
    ticks: int
    missed_ticks: int
    lateness_p50_ms: float
    lateness_p99_ms: float
    position_limit_hits: int
    velocity_limit_hits: int
    acceleration_limit_hits: int
    jerk_limit_hits: int
    executor_cpu_share: float
    reward: int | None
    problems: tuple[str, ...]

    @property
    def real_time_factor(self) -> float:
        """Robot time over wall time."""
        return self.robot_s / self.wall_s if self.wall_s > 0.0 else float("nan")


def summarise(recording: Recording, robot: Embodiment) -> Summary:
    """Figures and problems. Raises :class:`ValueError` if nothing was executed."""
    last = recording.last
    if last is None:
        raise ValueError("nothing recorded: the executor never executed a step")
    executing, hits = recording.ticks.executing, last.total_hits
    return Summary(
        robot_s=recording.robot_s,
        wall_s=recording.wall_s,
        chunks_executed=last.chunks_executed,
        chunks_accepted=last.chunks_accepted,
        chunks_refused=last.chunks_refused,
        underruns=last.underruns,
        executing_share=sum(executing) / len(executing),
        following_error=Spread.of(_following_errors(recording, robot)),
        inference_ms=Spread.of(recording.inference_ms),
        observations=len(recording.observation_age_s),
        observation_age_ms=Spread.of(recording.observation_age_s, 1e3),
        observation_skew_ms=Spread.of(recording.observation_skew_s, 1e3),
        ticks=last.ticks,
        missed_ticks=last.missed_ticks,
        lateness_p50_ms=last.lateness_p50_ms,
        lateness_p99_ms=last.lateness_p99_ms,
        position_limit_hits=hits.position,
        velocity_limit_hits=hits.velocity,
        acceleration_limit_hits=hits.acceleration,
        jerk_limit_hits=hits.jerk,
        executor_cpu_share=last.cpu_share,
        reward=recording.reward,
        problems=tuple(_problems(recording, robot)),
    )


def _following_errors(recording: Recording, robot: Embodiment) -> list[float]:
    span = robot.limits.upper - robot.limits.lower
    ticks = recording.ticks
    errors: list[float] = []
    for time_s, executing, chunk, command in zip(
        ticks.time_s, ticks.executing, ticks.chunk, ticks.command, strict=True
    ):
        plan = recording.plans.get(chunk)
        if executing and plan is not None:
            errors.extend(np.abs(command - plan.at(time_s)) / span)
    return errors


def _problems(recording: Recording, robot: Embodiment) -> Iterator[str]:
    """Reasons why the control loop was not closed."""
    yield from _execution_problems(recording, robot)
    yield from _motion_problems(recording, robot)
    yield from _camera_problems(recording, robot)


def _execution_problems(recording: Recording, robot: Embodiment) -> Iterator[str]:
    executing = recording.ticks.executing
    share = sum(executing) / len(executing)
    if share < EXECUTING_SHARE:
        yield f"the executor followed a chunk in only {share:.0%} of its ticks"
    chunk_s = robot.rates.execution_steps * robot.rates.step_duration_s
    expected = int(CHUNK_SHARE * recording.robot_s / chunk_s)
    seen = len(recording.boundaries)
    if seen < max(1, expected):
        yield f"only {seen} chunks were executed in {recording.robot_s:.1f} s"
    last = recording.last
    if last is not None and last.chunks_refused:
        yield f"{last.chunks_refused} chunks were refused, the last one because {last.last_refusal}"
    if not recording.inference_ms:
        yield "no chunk was received on action_chunk"


def _motion_problems(recording: Recording, robot: Embodiment) -> Iterator[str]:
    if not np.isfinite(recording.ticks.command).all():
        yield "a command was not finite"
    far = Spread.of(_following_errors(recording, robot)).p95
    if far > FOLLOWED:
        yield f"the command was up to {far:.0%} of a joint's range away from its chunk (p95)"
    missing = [name for name in robot.state_names if name not in recording.measured]
    if missing:
        yield f"never measured: {', '.join(missing)}"
    moved = [np.ptp([value for _, value in track]) for track in recording.measured.values()]
    if moved and max(moved) < MOVED:
        yield f"no joint moved: the largest movement was {max(moved):.1e}"


def _camera_problems(recording: Recording, robot: Embodiment) -> Iterator[str]:
    if not recording.frames:
        yield "no observation arrived"
        return
    _, views = recording.frames[-1]
    cameras = [slot_camera.name for slot_camera in robot.cameras]
    for i, view in enumerate(views):
        if view.std() < CONTRAST:
            yield f"the picture of camera {cameras[i]} is a single colour"
