"""Counters of alignment, and a summary of them for operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median_high

from pi0_ros.sync.timed_buffer import Fault, SyncRefusal
from pi0_ros.sync.types import AlignedSet

# Below this share of its expected rate a stream is called slow.
_SLOW = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSummary:
    """The streams since the last summary.

    ``healthy``: sets were published. ``refused``: how many sets and messages were refused.
    ``slow``: streams well below their expected rate. ``at_fault``: ``"stream: fault"`` of each
    problem.
    """

    healthy: bool
    refused: int
    slow: tuple[str, ...]
    at_fault: tuple[str, ...]
    text: str
    values: dict[str, str]


class SyncReport:
    """Counts arrivals, refusals and sets; summarises them since the last summary.

    ``expected_hz``: the rate each stream is expected to keep, by name.
    """

    def __init__(self, expected_hz: Mapping[str, float]) -> None:
        self._expected_hz = dict(expected_hz)
        self.sets = 0
        self.refusals: Counter[tuple[str, Fault]] = Counter()
        self._arrivals: Counter[str] = Counter()
        self._skews_ns: list[int] = []
        self._ages_ns: list[int] = []
        self._apart_ns: Counter[str] = Counter()
        self._since_s: float | None = None
        self._recent: dict[str, SyncRefusal] = {}
        self._refused_before = 0

    def arrived(self, stream: str) -> None:
        """Count a message that arrived, good or bad."""
        self._arrivals[stream] += 1

    def refused(self, refusal: SyncRefusal) -> None:
        """Count a message or a set that was refused."""
        self.refusals[refusal.stream, refusal.fault] += 1
        self._recent[refusal.stream] = refusal

    def published(self, aligned: AlignedSet[object, object]) -> None:
        """Count a set that was published."""
        self.sets += 1
        self._skews_ns.append(aligned.skew_ns)
        self._ages_ns.append(aligned.age_ns)
        for stream, member in (*aligned.frames.items(), *aligned.states.items()):
            apart_ns = abs(member.stamp_ns - aligned.stamp_ns)
            self._apart_ns[stream] = max(self._apart_ns[stream], apart_ns)

    def summary(
        self,
        now_s: float,
        problems: Iterable[SyncRefusal],
        ages_ns: Mapping[str, int] | None = None,
    ) -> SyncSummary:
        """What happened since the last call at ``now_s`` [s].

        The ROS clock gives the rates that the policy sees, even if simulated time runs faster
        than real time. ``problems`` are the streams at fault right now
        (:meth:`~pi0_ros.sync.alignment.Aligner.problems`), ``ages_ns`` the age of the
        newest message of each stream that has one.
        """
        elapsed_s = 0.0 if self._since_s is None else max(0.0, now_s - self._since_s)
        refused = self.refusals.total() - self._refused_before
        slow = self._slow(elapsed_s)
        at_fault = list(problems) or list(self._recent.values())
        summary = SyncSummary(
            healthy=bool(self._skews_ns),
            refused=refused,
            slow=slow,
            at_fault=tuple(f"{refusal.stream}: {refusal.fault.value}" for refusal in at_fault),
            text=self._text(elapsed_s, refused, slow, at_fault),
            values=self._sets(elapsed_s) | self._streams(elapsed_s, ages_ns or {}),
        )
        self._start_over(now_s)
        return summary

    def _slow(self, elapsed_s: float) -> tuple[str, ...]:
        # One message may be counted before or after the summary.
        return tuple(
            stream
            for stream, expected_hz in self._expected_hz.items()
            if self._arrivals[stream] + 1 < _SLOW * expected_hz * elapsed_s
        )

    def _text(
        self, elapsed_s: float, refused: int, slow: Iterable[str], at_fault: Iterable[SyncRefusal]
    ) -> str:
        reasons = "; ".join(map(str, at_fault))
        if not self._skews_ns:
            return "no sets: " + (reasons or "waiting for frames")
        rate = f"{len(self._skews_ns) / elapsed_s:.1f}" if elapsed_s else "-"
        text = f"{rate} sets/s, skew {_milliseconds(median_high(self._skews_ns))} ms"
        for stream in slow:
            rate_hz, expected_hz = self._arrivals[stream] / elapsed_s, self._expected_hz[stream]
            text += f"; {stream} slow: {rate_hz:.1f} of {expected_hz:g} Hz"
        return text + (f"; refused {reasons}" if refused else "")

    def _sets(self, elapsed_s: float) -> dict[str, str]:
        values = {"sets": str(self.sets), "refused": str(self.refusals.total())}
        if elapsed_s:
            values["sets_per_s"] = f"{len(self._skews_ns) / elapsed_s:.1f}"
        if self._skews_ns:
            values["skew_p50_ms"] = _milliseconds(median_high(self._skews_ns))
            values["skew_max_ms"] = _milliseconds(max(self._skews_ns))
            values["age_max_ms"] = _milliseconds(max(self._ages_ns))
        return values

    def _streams(self, elapsed_s: float, ages_ns: Mapping[str, int]) -> dict[str, str]:
        values: dict[str, str] = {}
        for stream, expected_hz in self._expected_hz.items():
            if elapsed_s:
                values[f"{stream}.rate_hz"] = f"{self._arrivals[stream] / elapsed_s:.1f}"
            values[f"{stream}.expected_hz"] = f"{expected_hz:g}"
            age_ns = ages_ns.get(stream)
            values[f"{stream}.age_ms"] = "never" if age_ns is None else _milliseconds(age_ns)
            if stream in self._apart_ns:
                values[f"{stream}.skew_max_ms"] = _milliseconds(self._apart_ns[stream])
        for (stream, fault), count in sorted(self.refusals.items()):
            values[f"{stream}.refused_{fault.value}"] = str(count)
        return values

    def _start_over(self, now_s: float) -> None:
        self._since_s = now_s
        self._refused_before = self.refusals.total()
        self._arrivals.clear()
        self._skews_ns.clear()
        self._ages_ns.clear()
        self._apart_ns.clear()
        self._recent.clear()


def _milliseconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.1f}"
