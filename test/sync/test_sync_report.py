"""What camera_sync tells an operator."""

from __future__ import annotations

from pi0_ros.sync import AlignedSet, Fault, Refusal, Stamped, SyncReport

MS = 1_000_000
MISSING = Refusal("top", Fault.MISSING, "nothing received yet")


def aligned(skew_ms: int) -> AlignedSet[object, object]:
    return AlignedSet(
        stamp_ns=0,
        frames={"top": Stamped(0, None)},
        states={"joints": Stamped(0, None)},
        skew_ns=skew_ms * MS,
        camera_skew_ns=0,
        oldest_ns=0,
        age_ns=skew_ms * MS,
    )


def test_without_sets_it_names_every_stream_at_fault() -> None:
    report = SyncReport(["top", "joints"])
    summary = report.summary(0.0, [MISSING])
    assert not summary.healthy
    assert summary.text == "no sets: top: missing: nothing received yet"
    assert summary.at_fault == ("top: missing",)


def test_counts_refusals_by_stream_and_fault() -> None:
    report = SyncReport(["top"])
    report.refused(MISSING)
    report.refused(MISSING)
    summary = report.summary(1.0, [])
    assert summary.refused == 2
    assert summary.values["top: refused, missing"] == "2"


def test_reports_rates_and_skew_since_the_last_look() -> None:
    report = SyncReport(["top"])
    report.summary(10.0, [])
    for skew_ms in (1, 2, 9):
        report.arrived("top")
        report.published(aligned(skew_ms))
    summary = report.summary(11.5, [])
    assert summary.healthy
    assert summary.values["sets [1/s]"] == "2.0"
    assert summary.values["top: rate [Hz]"] == "2.0"
    assert summary.values["skew p50 [ms]"] == "2.0"
    assert summary.values["skew max [ms]"] == "9.0"
    assert summary.text == "2.0 sets/s, skew 2.0 ms"


def test_a_new_look_starts_from_nothing_but_keeps_the_totals() -> None:
    report = SyncReport(["top"])
    report.published(aligned(1))
    report.refused(MISSING)
    report.summary(1.0, [])
    summary = report.summary(2.0, [])
    assert not summary.healthy
    assert summary.refused == 0
    assert summary.values["sets"] == "1"
    assert summary.values["top: refused, missing"] == "1"
