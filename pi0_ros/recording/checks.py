"""The checks of the quality gate, one function each; they turn evidence into findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.quality import (
    Evidence,
    Finding,
    Kind,
    QualityLimits,
    QualityReport,
    Stamps,
    StreamEvidence,
    StreamSummary,
)
from pi0_ros.recording.topics import Role
from pi0_ros.stamps import NS_PER_S

_SENSED = (Role.CAMERA, Role.JOINT_STATE)
Check = Callable[[Evidence, Embodiment, QualityLimits], Iterator[Finding]]


def assess(
    evidence: Evidence, embodiment: Embodiment, limits: QualityLimits | None = None
) -> QualityReport:
    """Check an episode, or the last seconds of a running one."""
    limits = limits or QualityLimits()
    findings = [finding for check in CHECKS for finding in check(evidence, embodiment, limits)]
    return QualityReport(
        duration_s=evidence.duration_s,
        findings=tuple(findings),
        streams=tuple(_summary(evidence, stream) for stream in evidence.streams),
    )


def too_short(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """The episode is too short to contain a task."""
    if not evidence.live and evidence.duration_s < limits.shortest_s:
        text = f"{evidence.duration_s:.1f} s long, at least {limits.shortest_s:g} s wanted"
        yield Finding(kind=Kind.SHORT, source="", text=text)


def silent(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """A topic had no message, or its messages stopped before the end."""
    for stream in _expected(evidence):
        if len(stream.log_ns) == 0:
            if evidence.duration_s > limits.gap_periods / stream.expected_hz + limits.gap_s:
                text = f"{stream.source}: no message"
                yield Finding(kind=Kind.MISSING, source=stream.source, text=text)
            continue
        quiet_s = (evidence.end_ns - int(stream.log_ns[-1])) / NS_PER_S
        if quiet_s > max(10 * limits.gap_s, limits.gap_periods / stream.expected_hz):
            text = f"{stream.source}: silent for the last {quiet_s:.1f} s"
            yield Finding(kind=Kind.DEAD, source=stream.source, text=text)


def unreadable(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """A message does not match the embodiment."""
    for stream in evidence.streams:
        if stream.refused:
            yield Finding(
                kind=Kind.MISSING, source=stream.source, text=f"{stream.source}: {stream.refused}"
            )


def rates_and_gaps(
    evidence: Evidence, robot: Embodiment, limits: QualityLimits
) -> Iterator[Finding]:
    """A rate below that of the embodiment, gaps, or jitter."""
    for stream in _expected(evidence):
        stamps = stream.stamp_ns
        if len(stamps) < 3 or evidence.duration_s < limits.shortest_s:
            continue
        wanted = stream.expected_hz
        intervals_s = np.diff(stamps) / NS_PER_S
        rate = _rate(stamps)
        if rate < limits.rate_share * wanted:
            text = f"{stream.source}: {rate:.1f} Hz, the embodiment says {wanted:g} Hz"
            yield Finding(kind=Kind.RATE, source=stream.source, text=text)
        longest = float(intervals_s.max())
        if longest > max(limits.gap_periods / wanted, limits.gap_s):
            when_s = (int(stamps[int(intervals_s.argmax())]) - evidence.start_ns) / NS_PER_S
            text = f"{stream.source}: nothing for {longest:.2f} s, {when_s:.1f} s into the episode"
            yield Finding(kind=Kind.GAP, source=stream.source, text=text)
        jitter = float(np.percentile(np.abs(intervals_s - 1.0 / rate), 95)) if rate else 0.0
        if stream.role in _SENSED and jitter > limits.jitter_share / wanted:
            text = f"{stream.source}: stamps jitter by {jitter * 1e3:.0f} ms (95th percentile)"
            yield Finding(kind=Kind.JITTER, source=stream.source, text=text, refuse=False)


def clocks(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """Stamps that go back, or come from another clock."""
    for stream in evidence.streams:
        if stream.role not in _SENSED or len(stream.stamp_ns) < 2:
            continue
        back_s = float(np.diff(stream.stamp_ns).min()) / NS_PER_S
        if back_s < 0:
            text = (
                f"{stream.source}: a stamp goes back by {-back_s:.3f} s; look at the driver's clock"
            )
            yield Finding(kind=Kind.CLOCK, source=stream.source, text=text)
        offset_s = float(np.abs(stream.log_ns - stream.stamp_ns).max()) / NS_PER_S
        if offset_s > limits.stamp_offset_s:
            text = (
                f"{stream.source}: stamps are up to {offset_s:.1f} s from the time of receipt;"
                " synchronise the clocks"
            )
            yield Finding(kind=Kind.CLOCK, source=stream.source, text=text)


def skews(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """Frames without another camera's frame, or a joint state, close enough in time."""
    cameras = [s for s in evidence.streams if s.role is Role.CAMERA and len(s.stamp_ns)]
    joints = [s for s in evidence.streams if s.role is Role.JOINT_STATE and len(s.stamp_ns)]
    pairs = [(c, other, robot.sync.camera_skew_s) for c in cameras[:1] for other in cameras[1:]]
    pairs += [(c, joint, robot.sync.state_skew_s) for c in cameras[:1] for joint in joints]
    for camera, other, tolerance_s in pairs:
        # The first and last frames are left out: their nearest message may lie outside the episode.
        distance_s = _nearest(camera.stamp_ns, other.stamp_ns)[1:-1] / NS_PER_S
        beyond = np.count_nonzero(distance_s > tolerance_s)
        if beyond > limits.skew_share * len(distance_s):
            text = (
                f"{other.source}: {beyond} of {len(distance_s)} frames of {camera.source} find"
                f" none within {tolerance_s:g} s"
            )
            yield Finding(kind=Kind.SKEW, source=other.source, text=text)


def pictures(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """A camera whose frames are black, or do not change while the robot moves."""
    for stream in evidence.streams:
        if stream.role is not Role.CAMERA or len(stream.log_ns) < 2:
            continue
        if stream.brightness is not None and np.isfinite(stream.brightness).any():
            seen = stream.brightness[np.isfinite(stream.brightness)]
            share = float(np.mean(seen < limits.black_level))
            if share > limits.black_share:
                text = f"{stream.source}: black in {share:.0%} of the frames; is the lens covered?"
                yield Finding(kind=Kind.BLACK, source=stream.source, text=text)
        for what, key in (("the same stamp", stream.stamp_ns), ("the same frame", stream.digest)):
            if key is None:
                continue
            first, last = _longest_run(key)
            length_s = (int(stream.log_ns[last]) - int(stream.log_ns[first])) / NS_PER_S
            span = int(stream.log_ns[first]), int(stream.log_ns[last])
            moved = what == "the same stamp" or _moved(evidence, span, limits)
            if length_s > limits.frozen_s and moved:
                text = f"{stream.source}: frozen, {what} for {length_s:.1f} s"
                yield Finding(kind=Kind.FROZEN, source=stream.source, text=text)
                break


def joint_limits(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """A joint measured beyond its command limits: a wrong unit, sign or offset."""
    bounds = {d.state: d.limits for d in robot.action if d.state is not None}
    for stream in evidence.streams:
        if stream.values is None or not len(stream.values):
            continue
        for column, index in enumerate(stream.columns):
            dimension = robot.state[index]
            bound = bounds.get(dimension.name)
            if bound is None:
                continue
            margin = limits.limit_margin * (bound.upper - bound.lower)
            low, high = stream.values[:, column].min(), stream.values[:, column].max()
            if low < bound.lower - margin or high > bound.upper + margin:
                worst = low if low < bound.lower - margin else high
                text = (
                    f"{dimension.name}: {worst:.3f} {dimension.unit} measured, limits are"
                    f" {bound.lower:g} to {bound.upper:g}; check unit, sign and offset"
                )
                yield Finding(kind=Kind.LIMITS, source=stream.source, text=text)


def standing_still(
    evidence: Evidence, robot: Embodiment, limits: QualityLimits
) -> Iterator[Finding]:
    """No joint moved from the first to the last message."""
    known = [s for s in evidence.streams if s.values is not None and len(s.values) > 1]
    if evidence.live or not known or evidence.duration_s < limits.shortest_s:
        return
    if not _moved(evidence, (evidence.start_ns, evidence.end_ns), limits):
        text = f"no joint moved by more than {limits.motion:g}"
        yield Finding(kind=Kind.STATIC, source="", text=text)


def dropped(evidence: Evidence, robot: Embodiment, limits: QualityLimits) -> Iterator[Finding]:
    """Messages that were not written, or never arrived."""
    for stream in evidence.streams:
        total = len(stream.log_ns) + stream.lost + stream.missed
        if stream.lost > limits.dropped_share * total:
            text = f"{stream.source}: {_count(stream.lost)} lost, written too slowly"
            yield Finding(kind=Kind.DROPPED, source=stream.source, text=text)
        if stream.missed > limits.dropped_share * total:
            refuse = stream.missed > (1 - limits.rate_share) * total
            text = f"{stream.source}: {_count(stream.missed)} never arrived"
            yield Finding(kind=Kind.DROPPED, source=stream.source, text=text, refuse=refuse)


CHECKS: tuple[Check, ...] = (
    *(too_short, silent, unreadable, rates_and_gaps, clocks, skews),
    *(pictures, joint_limits, standing_still, dropped),
)


def _expected(evidence: Evidence) -> Iterator[StreamEvidence]:
    return (stream for stream in evidence.streams if stream.expected_hz > 0)


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages} messages"


def _rate(stamps: Stamps) -> float:
    span = int(stamps[-1]) - int(stamps[0])
    return (len(stamps) - 1) / (span / NS_PER_S) if span > 0 else 0.0


def _nearest(stamps: Stamps, others: Stamps) -> NDArray[np.int64]:
    """Distance of each stamp to the nearest of the others [ns], shape of ``stamps``."""
    others = np.sort(others)
    right = np.searchsorted(others, stamps).clip(1, max(1, len(others) - 1))
    left = right - 1
    right = right.clip(0, len(others) - 1)
    return np.minimum(np.abs(stamps - others[left]), np.abs(stamps - others[right]))


def _longest_run(values: NDArray[np.generic]) -> tuple[int, int]:
    """First and last index of the longest run of equal values."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    edges = np.concatenate(([0], changes, [len(values)]))
    longest = int(np.diff(edges).argmax())
    return int(edges[longest]), int(edges[longest + 1]) - 1


def _moved(evidence: Evidence, span_ns: tuple[int, int], limits: QualityLimits) -> bool:
    """Whether a joint moved within a time span; true if no joint was measured."""
    known = False
    for stream in evidence.streams:
        if stream.values is None or stream.values_ns is None:
            continue
        inside = (stream.values_ns >= span_ns[0]) & (stream.values_ns <= span_ns[1])
        rows = stream.values[inside]
        known = known or len(rows) > 1
        if len(rows) > 1 and float(np.ptp(rows, axis=0).max()) > limits.motion:
            return True
    return not known


def _summary(evidence: Evidence, stream: StreamEvidence) -> StreamSummary:
    intervals_s = np.diff(stream.stamp_ns) / NS_PER_S
    rate = _rate(stream.stamp_ns) if len(intervals_s) else 0.0
    jitter = (
        np.percentile(np.abs(intervals_s - np.median(intervals_s)), 95) if len(intervals_s) else 0.0
    )
    return StreamSummary(
        source=stream.source,
        messages=len(stream.log_ns),
        rate_hz=round(rate, 2),
        expected_hz=stream.expected_hz,
        longest_gap_s=round(float(intervals_s.max()), 4) if len(intervals_s) else 0.0,
        jitter_ms=round(float(jitter) * 1e3, 2),
        lost=stream.lost,
        missed=stream.missed,
    )
