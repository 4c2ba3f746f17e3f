"""Options of an inference and their defaults, read by nodes, launch and command line.

Nothing heavy is imported: ``--help`` reads them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pi0_ros.policy.errors import PolicyError

RTC_MODES = ("guided", "prefix")
#: As in :data:`pi0_ros.model.guidance.SCHEDULES`; torch is not imported for it.
RTC_SCHEDULES = ("exp", "linear", "ones", "zeros")


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcOptions:
    """How a chunk is made to continue another one.

    ``mode`` "guided" guides the sampler towards the old chunk, with a backward pass in every step;
    "prefix" replaces the first rows by those of the old chunk in every step. ``schedule`` and
    ``max_guidance`` belong to "guided".
    """

    mode: str = field(
        default="guided",
        metadata={"description": f"how a chunk continues another: {' or '.join(RTC_MODES)}"},
    )
    schedule: str = field(
        default="exp",
        metadata={
            "description": "how the weight of the old chunk falls over its rows: "
            + ", ".join(RTC_SCHEDULES)
        },
    )
    max_guidance: float = field(
        default=5.0, metadata={"description": "the largest guidance coefficient"}
    )

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


@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    """How a checkpoint computes chunks.

    ``continuing``: how chunks will be continued, or None; the backend tries it before a robot
    moves.
    """

    num_steps: int = field(default=10, metadata={"description": "Denoising steps of each chunk"})
    device: str = field(
        default="cpu", metadata={"description": "Torch device of the policy: cpu, cuda or cuda:N"}
    )
    seed: int = field(
        default=-1, metadata={"description": "Seed of the sampling noise; -1 draws one"}
    )
    threads: int = field(
        default=0,
        metadata={"description": "Processor threads of the policy; 0 leaves the number to torch"},
    )
    continuing: RtcOptions | None = None

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise PolicyError(f"num_steps is {self.num_steps}; give at least 1 (the paper uses 10)")
        if not -1 <= self.seed < 2**63:
            raise PolicyError(f"seed is {self.seed}; give -1 for a random one, or 0 to 2^63-1")
        if self.threads < 0:
            raise PolicyError(f"threads is {self.threads}; give 0 for torch's choice, or a count")


#: Default and description of each option that a user sets, by name.
INFERENCE_DEFAULTS = {
    name: (option.default, option.metadata["description"])
    for name, option in InferenceOptions.__dataclass_fields__.items()
    if option.metadata
}
