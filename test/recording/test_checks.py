"""Every finding of the quality gate, and that a good episode has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pi0_ros.embodiment import load
from pi0_ros.recording.checks import assess
from pi0_ros.recording.quality import Evidence, Kind, QualityReport, StreamEvidence
from pi0_ros.recording.topics import Role

UR5E = load("ur5e")
CAMERA, WRIST = "base", "wrist"
JOINTS = "joints"
S = 1_000_000_000
DURATION_S = 4.0


def stamps(rate_hz: float, duration_s: float = DURATION_S, offset_s: float = 0.0) -> Any:
    count = round(duration_s * rate_hz)
    return (S + offset_s * S + np.arange(count) * S / rate_hz).astype(np.int64)


def camera(name: str, rate_hz: float = 30.0) -> StreamEvidence:
    times = stamps(rate_hz)
    return StreamEvidence(
        source=name,
        role=Role.CAMERA,
        expected_hz=30.0,
        log_ns=times + 2_000_000,
        stamp_ns=times,
        digest=np.arange(len(times), dtype=np.uint64),
        brightness=np.full(len(times), 90.0),
    )


def joints() -> StreamEvidence:
    times = stamps(125.0)
    angle = 0.3 * np.sin(np.linspace(0.0, 6.0, len(times)))
    return StreamEvidence(
        source=JOINTS,
        role=Role.JOINT_STATE,
        expected_hz=125.0,
        log_ns=times + 1_000_000,
        stamp_ns=times,
        values=np.tile(angle[:, None], 6),
        values_ns=times,
        columns=tuple(range(6)),
    )


def judge(change: Callable[[dict[str, StreamEvidence]], None], **evidence: Any) -> QualityReport:
    streams = {CAMERA: camera(CAMERA), WRIST: camera(WRIST), JOINTS: joints()}
    change(streams)
    span: dict[str, Any] = {"start_ns": S, "end_ns": round(S + DURATION_S * S), **evidence}
    return assess(Evidence(streams=tuple(streams.values()), **span), UR5E)


def nothing(streams: dict[str, StreamEvidence]) -> None:
    pass


def edit(name: str, **fields: Callable[[StreamEvidence], Any]) -> Callable[[dict[str, Any]], None]:
    def change(streams: dict[str, StreamEvidence]) -> None:
        stream = streams[name]
        streams[name] = replace(stream, **{key: make(stream) for key, make in fields.items()})

    return change


def cut(name: str, keep: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """Keep only some of the messages of a camera: ``keep`` of their seconds into the episode."""

    def change(streams: dict[str, StreamEvidence]) -> None:
        stream = streams[name]
        kept = keep((stream.stamp_ns - S) / S)
        assert stream.digest is not None and stream.brightness is not None
        streams[name] = replace(
            stream,
            log_ns=stream.log_ns[kept],
            stamp_ns=stream.stamp_ns[kept],
            digest=stream.digest[kept],
            brightness=stream.brightness[kept],
        )

    return change


def test_a_good_take_is_accepted_without_a_finding() -> None:
    report = judge(nothing)
    assert report.findings == ()
    assert report.accepted
    assert [s.rate_hz for s in report.streams] == [30.0, 30.0, 125.0]
    assert report.streams[0].longest_gap_s == pytest.approx(1 / 30, abs=1e-3)
    assert '"accepted": true' in report.to_json()


BAD: dict[str, tuple[Callable[[dict[str, StreamEvidence]], None], Kind, str]] = {
    "a_camera_that_never_spoke": (
        cut(WRIST, lambda t: t < 0),
        Kind.MISSING,
        "wrist: no message",
    ),
    "a_camera_that_died": (
        cut(WRIST, lambda t: t < 2.5),
        Kind.DEAD,
        "wrist: silent for the last 1.5 s",
    ),
    "a_slow_camera": (
        cut(WRIST, lambda t: np.arange(len(t)) % 2 == 0),
        Kind.RATE,
        "wrist: 15.0 Hz, the embodiment says 30 Hz",
    ),
    "a_hole": (
        cut(WRIST, lambda t: (t < 1.0) | (t > 1.3)),
        Kind.GAP,
        "wrist: nothing for 0.37 s, 1.0 s into the episode",
    ),
    "a_stamp_that_goes_back": (
        edit(JOINTS, stamp_ns=lambda s: s.stamp_ns - (np.arange(len(s.stamp_ns)) == 99) * S),
        Kind.CLOCK,
        "joints: a stamp goes back by 0.992 s",
    ),
    "stamps_of_another_clock": (
        edit(WRIST, log_ns=lambda s: s.log_ns + 5 * S),
        Kind.CLOCK,
        "wrist: stamps are up to 5.0 s from the time of receipt",
    ),
    "a_camera_late_by_half_a_period_and_more": (
        edit(JOINTS, stamp_ns=lambda s: s.stamp_ns[::50], log_ns=lambda s: s.log_ns[::50]),
        Kind.SKEW,
        "frames of base find none within",
    ),
    "a_stamp_that_stands_still": (
        edit(WRIST, stamp_ns=lambda s: np.full_like(s.stamp_ns, S)),
        Kind.FROZEN,
        "wrist: frozen, the same stamp for 4.0 s",
    ),
    "a_picture_that_stands_still": (
        edit(WRIST, digest=lambda s: np.where(np.arange(120) < 60, 7, s.digest)),
        Kind.FROZEN,
        "wrist: frozen, the same frame for 2.0 s",
    ),
    "a_covered_lens": (
        edit(WRIST, brightness=lambda s: s.brightness * 0.01),
        Kind.BLACK,
        "wrist: black in 100% of the frames",
    ),
    "degrees_for_radians": (
        edit(JOINTS, values=lambda s: s.values * 57.3),
        Kind.LIMITS,
        "check unit, sign and offset",
    ),
    "a_robot_at_rest": (
        edit(JOINTS, values=lambda s: s.values * 0.01),
        Kind.STATIC,
        "no joint moved by more than 0.01",
    ),
    "messages_the_disk_lost": (
        edit(WRIST, lost=lambda s: 3),
        Kind.DROPPED,
        "wrist: 3 messages lost, written too slowly",
    ),
    "messages_that_never_came": (
        edit(WRIST, missed=lambda s: 30),
        Kind.DROPPED,
        "wrist: 30 messages never arrived",
    ),
    "joint_states_that_cannot_be_read": (
        edit(JOINTS, refused=lambda s: "joint 'elbow_joint' missing"),
        Kind.MISSING,
        "joints: joint 'elbow_joint' missing",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str) -> None:
    change, kind, text = BAD[name]
    report = judge(change)
    found = [finding.text for finding in report.findings if finding.kind is kind]
    assert any(text in sentence for sentence in found), report.problems
    assert not report.accepted


def test_refuses_a_take_that_is_too_short() -> None:
    report = judge(nothing, end_ns=S + S // 2)
    assert "0.5 s long, at least 1 s wanted" in report.problems


def test_notes_jitter_and_a_few_missed_messages_without_refusing() -> None:
    generator = np.random.default_rng(1)

    def shake(streams: dict[str, StreamEvidence]) -> None:
        camera_ = streams[WRIST]
        noise = generator.uniform(-15e6, 15e6, len(camera_.stamp_ns)).astype(np.int64)
        streams[WRIST] = replace(camera_, stamp_ns=camera_.stamp_ns + noise, missed=1)

    report = judge(shake)
    assert {finding.kind for finding in report.findings} == {Kind.JITTER, Kind.DROPPED}
    assert report.accepted


def test_a_still_picture_of_a_robot_at_rest_is_no_fault() -> None:
    def rest(streams: dict[str, StreamEvidence]) -> None:
        edit(JOINTS, values=lambda s: s.values * 0.0)(streams)
        edit(WRIST, digest=lambda s: np.zeros_like(s.digest))(streams)

    assert {finding.kind for finding in judge(rest).findings} == {Kind.STATIC}


def test_during_the_take_neither_rest_nor_its_length_is_a_fault() -> None:
    report = judge(edit(JOINTS, values=lambda s: s.values * 0.0), live=True)
    assert report.findings == ()


def test_worse_findings_come_first() -> None:
    def both(streams: dict[str, StreamEvidence]) -> None:
        edit(CAMERA, missed=lambda s: 1)(streams)
        edit(WRIST, lost=lambda s: 1)(streams)

    assert [text.split(":")[0] for text in judge(both).problems] == ["wrist", "base"]
