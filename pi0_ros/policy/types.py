"""The inputs and outputs of a policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.options import RtcOptions

#: Stages of one inference, in order; "vision" and "prefix" run once per observation.
STAGES = ("preprocess", "vision", "prefix", "denoise", "postprocess", "total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the robot observes at one moment.

    ``images`` uint8 (present views, size, size, 3) RGB, in slot order; ``slot_mask``
    says for each of :data:`~pi0_ros.embodiment.CAMERA_SLOTS` whether it has a view;
    ``state`` float64 (S,) in embodiment order and units; ``stamp_ns`` is the capture
    time of the newest frame.
    """

    images: NDArray[np.uint8]
    slot_mask: tuple[bool, ...]
    state: NDArray[np.float64]
    prompt: str
    stamp_ns: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RemainingActions:
    """The rows of the executed chunk that remain when an inference begins.

    ``actions`` float32 (n, A), absolute, in embodiment order and units, n = H - s: row i is due
    when row i of the new chunk is due. The first ``delay`` rows will have been executed when the
    new chunk arrives.
    """

    actions: NDArray[np.float32]
    delay: int
    options: RtcOptions

    def __post_init__(self) -> None:
        if not 0 <= self.delay <= len(self.actions):
            raise PolicyError(
                f"delay is {self.delay} steps and {len(self.actions)} remain of the old chunk"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Future actions, and the durations of their computation.

    ``actions`` float32 (H, A) in embodiment order and units; ``stage_ms`` holds a
    duration [ms] for each of :data:`STAGES`.
    """

    actions: NDArray[np.float32]
    stage_ms: tuple[float, ...]
    stage_names: tuple[str, ...] = STAGES
