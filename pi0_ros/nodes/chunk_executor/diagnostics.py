"""The diagnostics of chunk_executor: its status as level, message and values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pi0_ros.control import ExecutorState
from pi0_ros.nodes.diagnostics import ERROR, OK, WARN, Reading
from pi0_ros.nodes.executor_status import ExecutorView

_MOVING = {ExecutorState.EXECUTING, ExecutorState.HOMING, ExecutorState.TELEOPERATED}
#: Counters whose increase since the last report is a warning, and their names in the message.
_WARNING_COUNTERS = {"missed_ticks": "ticks missed", "vetoed_ticks": "ticks vetoed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorFacts:
    """Values for the diagnostics that the status message does not carry.

    ``observation_age_s``: age of the newest observation, None before the first.
    ``off``: distance of each measured action dimension from its command, in its unit; NaN if
    unknown. ``refused``: refused chunks by rule. ``faults``: exceptions in a tick.
    ``extra``: further values. ``warnings``: sentences appended to the message.
    """

    observation_age_s: float | None = None
    off: tuple[float, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    faults: int = 0
    extra: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class ExecutorDiagnostics:
    """Turns a status into a report that warns of newly missed and vetoed ticks."""

    def __init__(self) -> None:
        self._before = dict.fromkeys(_WARNING_COUNTERS, 0)

    def read(self, status: ExecutorView, facts: ExecutorFacts) -> Reading:
        """Level, message and values of one report."""
        values = _values(status, facts)
        warnings = [*self._new_warnings(status), *facts.warnings]
        state = status.state.name.lower()
        message = f"{state}: {status.reason}" if status.reason else state
        if facts.faults:
            return ERROR, f"{facts.faults} faults in the tick; {message}", values
        if status.state == ExecutorState.ESTOPPED:
            return ERROR, message, values
        if status.state == ExecutorState.EXECUTING:
            message = f"executing chunk {status.chunk_sequence}"
        is_normal = status.state in _MOVING or status.state == ExecutorState.INACTIVE
        level = OK if is_normal and not warnings else WARN
        return level, "; ".join([message, *warnings]), values

    def _new_warnings(self, status: ExecutorView) -> list[str]:
        warnings = []
        for counter, name in _WARNING_COUNTERS.items():
            count = getattr(status, counter)
            # A smaller count is a new activation, which counts from 0.
            new = count - self._before[counter] if count >= self._before[counter] else count
            self._before[counter] = count
            if new:
                warnings.append(f"{new} {name}")
        return warnings


def _values(status: ExecutorView, facts: ExecutorFacts) -> dict[str, str]:
    age_s = facts.observation_age_s
    off = dict(zip(status.action_names, facts.off, strict=False))  # empty before a tick
    known = {name: distance for name, distance in off.items() if math.isfinite(distance)}
    values = {
        "state": status.state.name,
        "reason": status.reason,
        "source_id": status.source_id,
        "checkpoint_id": status.checkpoint_id,
        "chunk_sequence": str(status.chunk_sequence),
        "chunk_step": f"{status.chunk_step} of {status.chunk_horizon}",
        "observation_age_s": "never" if age_s is None else f"{age_s:.3f}",
        "tracking_error_max": f"{max(map(abs, known.values()), default=math.nan):.4f}",
        "chunks_accepted": str(status.chunks_accepted),
        "chunks_executed": str(status.chunks_executed),
        "chunks_refused": str(status.chunks_refused),
    }
    values |= {f"refused_{rule}": str(count) for rule, count in sorted(facts.refused.items())}
    values |= {
        "last_refusal": status.last_refusal,
        "underruns": str(status.underruns),
        "ticks": str(status.ticks),
        "missed_ticks": str(status.missed_ticks),
        "vetoed_ticks": str(status.vetoed_ticks),
        "faults": str(facts.faults),
        "lateness_p50_ms": f"{status.lateness_p50_ms:.3f}",
        "lateness_p99_ms": f"{status.lateness_p99_ms:.3f}",
        "lateness_max_ms": f"{status.lateness_max_ms:.3f}",
        "cpu_share": f"{status.cpu_share:.3f}",
    }
    values |= {f"off.{name}": f"{distance:.4f}" for name, distance in known.items()}
    return values | _limit_hits(status) | dict(facts.extra)


def _limit_hits(status: ExecutorView) -> dict[str, str]:
    """Limited ticks by kind, and for each joint ``p 0 v 3 a 12 j 0``."""
    totals = status.total_hits._asdict()
    values = {f"{kind}_limit_hits": str(count) for kind, count in totals.items()}
    for name, hits in zip(status.action_names, status.limit_hits, strict=True):
        counts = (f"{kind[0]} {count}" for kind, count in hits._asdict().items())
        values[f"limit_hits.{name}"] = " ".join(counts)
    return values
