"""The data of one run of the demonstration, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pi0_ros.nodes.executor_status import ExecutorView


@dataclass(slots=True, kw_only=True)
class Ticks:
    """One entry for each status of the executor: time [s], state, chunk, commanded values."""

    time_s: list[float] = field(default_factory=list)
    executing: list[bool] = field(default_factory=list)
    chunk: list[int] = field(default_factory=list)
    command: list[NDArray[np.float64]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A chunk as the policy sent it: time of step 0 [s], step [s], actions (H, A)."""

    time_s: float
    step_s: float
    actions: NDArray[np.float64]

    def at(self, time_s: float) -> NDArray[np.float64]:
        """Actions (A,) at a time: linear between steps, constant beyond both ends."""
        step = np.clip((time_s - self.time_s) / self.step_s, 0.0, len(self.actions) - 1.0)
        before = int(step)
        after = min(before + 1, len(self.actions) - 1)
        share = step - before
        return (1.0 - share) * self.actions[before] + share * self.actions[after]


@dataclass(slots=True, kw_only=True)
class Recording:
    """All data since the first executed step. Times are robot time since that step [s].

    ``plans``: chunks by sequence number. ``measured``: time and value of each state
    dimension by name. ``frames``: time and views, uint8 (present cameras, height,
    width, 3), at even intervals. ``last``: the executor's newest status; its ``chunks_refused``
    counts since the executor knew the pose of the robot.
    """

    duration_s: float
    ticks: Ticks = field(default_factory=Ticks)
    plans: dict[int, Plan] = field(default_factory=dict)
    measured: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    frames: list[tuple[float, NDArray[np.uint8]]] = field(default_factory=list)
    observation_age_s: list[float] = field(default_factory=list)
    observation_skew_s: list[float] = field(default_factory=list)
    inference_ms: list[float] = field(default_factory=list)
    last: ExecutorView | None = None
    reward: int | None = None
    wall_s: float = 0.0

    @property
    def robot_s(self) -> float:
        """Robot time recorded so far [s]."""
        return self.ticks.time_s[-1] if self.ticks.time_s else 0.0

    @property
    def boundaries(self) -> list[tuple[float, int]]:
        """Times at which execution switched to another chunk, and its sequence number."""
        ticks = self.ticks
        found: list[tuple[float, int]] = []
        for time_s, executing, chunk in zip(
            ticks.time_s, ticks.executing, ticks.chunk, strict=True
        ):
            if executing and (not found or found[-1][1] != chunk):
                found.append((time_s, chunk))
        return found
