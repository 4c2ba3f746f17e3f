"""What camera_sync tells an operator."""

from __future__ import annotations

from pi0_ros.sync import AlignedSet, Fault, Stamped, SyncRefusal, SyncReport

MS = 1_000_000
EXPECTED = {"top": 2.0, "joints": 2.0}
MISSING = SyncRefusal("top", Fault.MISSING, "nothing received yet")


def aligned(skew_ms: int) -> AlignedSet[object, object]:
    return AlignedSet(
        stamp_ns=0,
        frames={"top": Stamped(0, None)},
        states={"joints": Stamped(-skew_ms * MS, None)},
        skew_ns=skew_ms * MS,
        camera_skew_ns=0,
        oldest_ns=0,
        age_ns=skew_ms * MS,
    )


def test_without_sets_it_names_every_stream_at_fault() -> None:
    report = SyncReport(EXPECTED)
    summary = report.summary(0.0, [MISSING])
    assert not summary.healthy
    assert summary.text == "no sets: top: missing: nothing received yet"
    assert summary.at_fault == ("top: missing",)


def test_counts_refusals_by_stream_and_fault() -> None:
    report = SyncReport(EXPECTED)
    report.refused(MISSING)
    report.refused(MISSING)
    summary = report.summary(1.0, [])
    assert summary.refused == 2
    assert summary.values["top.refused_missing"] == "2"


def test_reports_rates_and_skew_since_the_last_look() -> None:
    report = SyncReport(EXPECTED)
    report.summary(10.0, [])
    for skew_ms in (1, 2, 9):
        report.arrived("top")
        report.arrived("joints")
        report.published(aligned(skew_ms))
    summary = report.summary(11.5, [])
    assert summary.healthy
    assert summary.values["sets_per_s"] == "2.0"
    assert summary.values["top.rate_hz"] == "2.0"
    assert summary.values["skew_p50_ms"] == "2.0"
    assert summary.values["skew_max_ms"] == "9.0"
    assert summary.values["top.expected_hz"] == "2"
    assert summary.values["joints.skew_max_ms"] == "9.0"
    assert summary.text == "2.0 sets/s, skew 2.0 ms"


def test_a_new_look_starts_from_nothing_but_keeps_the_totals() -> None:
    report = SyncReport(EXPECTED)
    report.published(aligned(1))
    report.refused(MISSING)
    report.summary(1.0, [])
    summary = report.summary(2.0, [])
    assert not summary.healthy
    assert summary.refused == 0
    assert summary.values["sets"] == "1"
    assert summary.values["top.refused_missing"] == "1"


def test_gives_the_age_of_every_stream_or_says_never() -> None:
    values = SyncReport(EXPECTED).summary(1.0, [], {"top": 3 * MS}).values
    assert values["top.age_ms"] == "3.0"
    assert values["joints.age_ms"] == "never"


def test_names_a_stream_well_below_its_rate_and_forgives_one_message() -> None:
    report = SyncReport({"top": 30.0, "joints": 100.0})
    report.summary(0.0, [])
    report.published(aligned(1))
    for _ in range(23):
        report.arrived("top")
    for _ in range(50):
        report.arrived("joints")
    summary = report.summary(1.0, [])
    assert summary.slow == ("joints",)
    assert "joints slow: 50.0 of 100 Hz" in summary.text


def test_gives_no_rates_while_the_clock_stands() -> None:
    report = SyncReport(EXPECTED)
    report.summary(5.0, [])
    report.arrived("top")
    for now_s in (5.0, 4.0):
        summary = report.summary(now_s, [])
        assert "top.rate_hz" not in summary.values
        assert summary.slow == ()
