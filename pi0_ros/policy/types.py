"""What goes into a policy and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Stages of one inference, in order; "vision" and "prefix" run once per observation.
STAGES = ("preprocess", "vision", "prefix", "denoise", "postprocess", "total")


class PolicyError(ValueError):
    """An observation, a checkpoint or an output that must not reach the robot."""


class IncompatibleError(PolicyError):
    """A checkpoint that is not for this robot; ``problems`` are sentences, one per reason."""

    def __init__(self, message: str, problems: tuple[str, ...]) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the robot sees at one moment.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Future actions, and how long they took to compute.

    ``actions`` float32 (H, A) in embodiment order and units; ``stage_ms`` holds a
    duration [ms] for each of :data:`STAGES`.
    """

    actions: NDArray[np.float32]
    stage_ms: tuple[float, ...]
    stage_names: tuple[str, ...] = STAGES
