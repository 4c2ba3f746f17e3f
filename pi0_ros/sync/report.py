"""Counters of alignment, and what they say to an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_high

from pi0_ros.sync.streams import Fault, Refusal
from pi0_ros.sync.types import AlignedSet


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSummary:
    """One look at the streams.

    ``healthy``: sets were published since the last look; ``refused``: how many sets
    and messages were not; ``at_fault``: ``"stream: fault"`` of each problem.
    """

    healthy: bool
    refused: int
    at_fault: tuple[str, ...]
    text: str
    values: dict[str, str]


class SyncReport:
    """Counts arrivals, refusals and sets; summarises them since the last summary."""

    def __init__(self, streams: Iterable[str]) -> None:
        self._streams = tuple(streams)
        self.sets = 0
        self.refusals: Counter[tuple[str, Fault]] = Counter()
        self._arrivals: Counter[str] = Counter()
        self._skews_ns: list[int] = []
        self._ages_ns: list[int] = []
        self._since_s: float | None = None
        self._recent: dict[str, Refusal] = {}
        self._refused_before = 0

    def arrived(self, stream: str) -> None:
        """A message arrived, good or bad."""
        self._arrivals[stream] += 1

    def refused(self, refusal: Refusal) -> None:
        """A message or a set was refused."""
        self.refusals[refusal.stream, refusal.fault] += 1
        self._recent[refusal.stream] = refusal

    def published(self, aligned: AlignedSet[object, object]) -> None:
        """A set was published."""
        self.sets += 1
        self._skews_ns.append(aligned.skew_ns)
        self._ages_ns.append(aligned.age_ns)

    def summary(self, steady_s: float, problems: Iterable[Refusal]) -> SyncSummary:
        """What happened since the last call; ``steady_s`` is any steady clock [s].

        ``problems`` are the streams at fault right now
        (:meth:`~pi0_ros.sync.alignment.Aligner.problems`).
        """
        problems = list(problems)
        elapsed_s = None if self._since_s is None else steady_s - self._since_s
        refused = self.refusals.total() - self._refused_before
        healthy = bool(self._skews_ns)
        values = {"sets": str(self.sets)} | self._figures(elapsed_s)
        at_fault = problems or list(self._recent.values())
        reasons = [str(refusal) for refusal in at_fault]
        if healthy:
            text = f"{values.get('sets [1/s]', '-')} sets/s, skew {values['skew p50 [ms]']} ms"
            if refused:
                text += "; refused " + "; ".join(reasons)
        else:
            text = "no sets: " + ("; ".join(reasons) or "waiting for the first frames")
        summary = SyncSummary(
            healthy=healthy,
            refused=refused,
            at_fault=tuple(f"{refusal.stream}: {refusal.fault.value}" for refusal in at_fault),
            text=text,
            values=values,
        )
        self._start_over(steady_s)
        return summary

    def _figures(self, elapsed_s: float | None) -> dict[str, str]:
        values: dict[str, str] = {}
        if elapsed_s:
            values["sets [1/s]"] = f"{len(self._skews_ns) / elapsed_s:.1f}"
            for stream in self._streams:
                values[f"{stream}: rate [Hz]"] = f"{self._arrivals[stream] / elapsed_s:.1f}"
        if self._skews_ns:
            values["skew p50 [ms]"] = _milliseconds(median_high(self._skews_ns))
            values["skew max [ms]"] = _milliseconds(max(self._skews_ns))
            values["age max [ms]"] = _milliseconds(max(self._ages_ns))
        for (stream, fault), count in sorted(self.refusals.items()):
            values[f"{stream}: refused, {fault.value}"] = str(count)
        return values

    def _start_over(self, steady_s: float) -> None:
        self._since_s = steady_s
        self._refused_before = self.refusals.total()
        self._arrivals.clear()
        self._skews_ns.clear()
        self._ages_ns.clear()
        self._recent.clear()


def _milliseconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.1f}"
