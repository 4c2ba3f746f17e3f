"""One observation in, one chunk out. The backends, which load a network, are imported apart."""

from __future__ import annotations

from pi0_ros.policy.policy import Policy
from pi0_ros.policy.types import (
    STAGES,
    Chunk,
    IncompatibleError,
    Leftover,
    Observation,
    PolicyError,
    RtcOptions,
)

__all__ = [
    "STAGES",
    "Chunk",
    "IncompatibleError",
    "Leftover",
    "Observation",
    "Policy",
    "PolicyError",
    "RtcOptions",
]
