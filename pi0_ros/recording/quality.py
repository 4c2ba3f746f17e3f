"""The quality gate: one check of an episode for the live screen, the report and the converter.

:func:`~pi0_ros.recording.checks.assess` checks :class:`Evidence`. The recorder collects it during
the episode (for its last seconds) and after it; the converter collects it from the bag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.recording.topics import Role
from pi0_ros.stamps import NS_PER_S

Stamps = NDArray[np.int64]


class Kind(str, Enum):
    """The kinds of findings."""

    MISSING = "missing"
    DEAD = "dead"
    RATE = "rate"
    GAP = "gap"
    JITTER = "jitter"
    CLOCK = "clock"
    SKEW = "skew"
    FROZEN = "frozen"
    BLACK = "black"
    LIMITS = "limits"
    STATIC = "static"
    DROPPED = "dropped"
    SHORT = "short"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """Limits of the checks. Shares are relative to the expected value; times are in seconds."""

    shortest_s: float = 1.0
    rate_share: float = 0.9
    gap_periods: float = 5.0
    gap_s: float = 0.1  # shorter pauses are no gap
    jitter_share: float = 0.5  # 95th percentile of |interval - period| over the period
    stamp_offset_s: float = 1.0  # between a header stamp and the receipt of the message
    frozen_s: float = 1.0
    black_level: float = 4.0  # mean of a frame, of 255
    black_share: float = 0.1
    limit_margin: float = 0.02  # of the range of a joint
    motion: float = 0.01  # [rad], [m] or [opening]: smaller motion counts as none
    skew_share: float = 0.05  # of the frames; they may exceed the embodiment's tolerance
    dropped_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvidence:
    """N messages of one topic in the checked time span.

    ``log_ns`` and ``stamp_ns`` (N,) are receipt times and header stamps; without a header, both are
    receipt times. ``digest`` (N,) is equal for equal frames. ``brightness`` (N,) is NaN where a
    frame was not decoded. ``values`` (M, K) are joint positions in units of the embodiment at
    ``values_ns`` (M,), of the state dimensions ``columns``. ``refused`` says why a message could
    not be read.
    """

    source: str
    role: Role
    expected_hz: float
    log_ns: Stamps
    stamp_ns: Stamps
    digest: NDArray[np.uint64] | None = None
    brightness: NDArray[np.float64] | None = None
    values: NDArray[np.float64] | None = None
    values_ns: Stamps | None = None
    columns: tuple[int, ...] = ()
    lost: int = 0
    missed: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All topics between ``start_ns`` and ``end_ns`` (ROS clock).

    ``live``: the episode is still recorded, so that it may be short or without motion.
    """

    start_ns: int
    end_ns: int
    streams: tuple[StreamEvidence, ...]
    live: bool = False

    @property
    def duration_s(self) -> float:
        """Length of the checked time span [s]."""
        return max(0, self.end_ns - self.start_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem; ``refuse`` says whether it alone refuses the episode."""

    kind: Kind
    source: str
    text: str
    refuse: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """Figures of one topic. Intervals are those of the header stamps."""

    source: str
    messages: int
    rate_hz: float
    expected_hz: float
    longest_gap_s: float
    jitter_ms: float
    lost: int
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """The result: the episode is accepted unless a finding refuses it."""

    duration_s: float
    findings: tuple[Finding, ...]
    streams: tuple[StreamSummary, ...]

    @property
    def accepted(self) -> bool:
        """Whether the converter takes the episode without an override."""
        return not any(finding.refuse for finding in self.findings)

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence per finding; those that refuse come first."""
        worse = sorted(self.findings, key=lambda finding: not finding.refuse)
        return tuple(finding.text for finding in worse)

    def to_json(self) -> str:
        """Text of ``quality.json``."""
        content: Mapping[str, Any] = {"accepted": self.accepted, **asdict(self)}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
