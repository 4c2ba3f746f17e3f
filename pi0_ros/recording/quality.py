"""Is this episode any good? One judgement for the live screen, the report and the converter.

:func:`assess` looks at :class:`Evidence`, whoever collected it: the recorder during the
take (then of its last seconds), the recorder after it, or the converter from the bag.
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
    """What may be wrong with an episode."""

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
    """Where good ends. Shares are of the expected value, times in seconds."""

    shortest_s: float = 1.0
    rate_share: float = 0.9
    gap_periods: float = 5.0
    gap_s: float = 0.1  # no gap shorter than this is one
    jitter_share: float = 0.5  # 95th percentile of |interval - period| over the period
    stamp_offset_s: float = 1.0  # between a header stamp and the receipt of the message
    frozen_s: float = 1.0
    black_level: float = 4.0  # mean of a frame, of 255
    black_share: float = 0.1
    limit_margin: float = 0.02  # of the range of a joint
    motion: float = 0.01  # [rad], [m] or [opening]: less is standing still
    skew_share: float = 0.05  # of the frames that may exceed the embodiment's tolerance
    dropped_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvidence:
    """One topic over the time judged, N messages.

    ``log_ns``, ``stamp_ns``: receipt and header stamp, (N,); no header: ``stamp_ns`` is
    ``log_ns``. ``digest`` (N,): equal for equal frames. ``brightness`` (N,), NaN where not
    looked at. ``values`` (M, K): joint positions in units of the embodiment, at ``values_ns``
    (M,), of the state dimensions ``columns``. ``refused``: messages that could not be read.
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

    ``live``: the episode goes on, so that it may still be short or at rest.
    """

    start_ns: int
    end_ns: int
    streams: tuple[StreamEvidence, ...]
    live: bool = False

    @property
    def duration_s(self) -> float:
        """Time judged [s]."""
        return max(0, self.end_ns - self.start_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong; ``refuse``: enough to refuse the episode."""

    kind: Kind
    source: str
    text: str
    refuse: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """Figures of one topic; intervals are of the header stamps."""

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
    """The judgement: accepted unless one finding says refuse."""

    duration_s: float
    findings: tuple[Finding, ...]
    streams: tuple[StreamSummary, ...]

    @property
    def accepted(self) -> bool:
        """Whether the episode may go into a dataset without anybody's override."""
        return not any(finding.refuse for finding in self.findings)

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence per finding, the worse ones first."""
        worse = sorted(self.findings, key=lambda finding: not finding.refuse)
        return tuple(finding.text for finding in worse)

    def to_json(self) -> str:
        """Text of ``quality.json``."""
        content: Mapping[str, Any] = {"accepted": self.accepted, **asdict(self)}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
