"""What goes into a policy and what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Stages of one inference, in order; "vision" and "prefix" run once per observation.
STAGES = ("preprocess", "vision", "prefix", "denoise", "postprocess", "total")

RTC_MODES = ("guided", "prefix")
#: As in :data:`pi0_ros.model.guidance.SCHEDULES`; torch is not imported for it.
RTC_SCHEDULES = ("exp", "linear", "ones", "zeros")


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
class RtcOptions:
    """How a chunk is made to continue another one.

    ``mode`` "guided": the sampler is led towards the old chunk, with a backward pass in every
    step; "prefix": the first rows are replaced by those of the old chunk in every step.
    ``schedule`` and ``max_guidance`` are of "guided": how the weight falls over the rows,
    and the largest guidance coefficient.
    """

    mode: str = "guided"
    schedule: str = "exp"
    max_guidance: float = 5.0

    def __post_init__(self) -> None:
        if self.mode not in RTC_MODES:
            raise PolicyError(f"rtc_mode is {self.mode!r}; give one of {', '.join(RTC_MODES)}")
        if self.schedule not in RTC_SCHEDULES:
            raise PolicyError(
                f"rtc_schedule is {self.schedule!r}; give one of {', '.join(RTC_SCHEDULES)}"
            )
        if not (math.isfinite(self.max_guidance) and self.max_guidance > 0.0):
            raise PolicyError(
                f"rtc_max_guidance is {self.max_guidance}; give a number above 0 (the paper: 5)"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leftover:
    """What the chunk being executed has left when an inference begins.

    ``actions`` float32 (n, A), absolute, in embodiment order and units: row i is due when row
    i of the new chunk is; n is H - s. The first ``delay`` rows will
    have been executed when the new chunk arrives.
    """

    actions: NDArray[np.float32]
    delay: int
    options: RtcOptions

    def __post_init__(self) -> None:
        if not 0 <= self.delay <= len(self.actions):
            raise PolicyError(
                f"delay is {self.delay} steps and {len(self.actions)} are left of the old chunk"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Future actions, and how long they took to compute.

    ``actions`` float32 (H, A) in embodiment order and units; ``stage_ms`` holds a
    duration [ms] for each of :data:`STAGES`.
    """

    actions: NDArray[np.float32]
    stage_ms: tuple[float, ...]
    stage_names: tuple[str, ...] = STAGES
