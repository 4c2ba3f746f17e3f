"""One stream: what it keeps, and how it names what is wrong."""

from __future__ import annotations

import pytest

from pi0_ros.sync import Fault, TimedBuffer

MS = 1_000_000


def stream(history: int = 4) -> TimedBuffer[str]:
    return TimedBuffer("top", history=history, max_age_ns=100 * MS)


def fault(refusal: object) -> Fault | None:
    return getattr(refusal, "fault", None)


def test_a_stream_that_never_published_is_missing() -> None:
    problem = stream().problem(0)
    assert str(problem) == "top: missing: nothing received yet"


def test_a_silent_stream_is_stale_and_says_how_old() -> None:
    top = stream()
    top.add(10 * MS, "a", 10 * MS)
    assert top.problem(110 * MS) is None
    assert str(top.problem(160 * MS)) == "top: stale: newest is 150 ms old, at most 100 ms allowed"


def test_an_unstamped_stream_is_told_to_stamp() -> None:
    top = stream()
    top.add(0, "a", 10_000 * MS)
    assert "make the driver stamp" in str(top.problem(10_000 * MS))


def test_the_same_stamp_again_is_frozen() -> None:
    top = stream()
    assert top.add(10 * MS, "a", 10 * MS) is None
    assert fault(top.add(10 * MS, "b", 20 * MS)) is Fault.FROZEN
    assert top.newest is not None and top.newest.item == "a"


def test_a_frozen_stream_is_called_frozen_and_not_stale() -> None:
    top = stream()
    top.add(10 * MS, "a", 10 * MS)
    top.add(10 * MS, "b", 200 * MS)
    assert fault(top.problem(200 * MS)) is Fault.FROZEN


def test_a_stamp_that_goes_back_is_refused() -> None:
    top = stream()
    top.add(50 * MS, "a", 50 * MS)
    assert fault(top.add(40 * MS, "b", 60 * MS)) is Fault.WENT_BACK


def test_a_stamp_ahead_of_the_clock_is_refused() -> None:
    top = stream()
    assert fault(top.add(201 * MS, "a", 100 * MS)) is Fault.FUTURE
    assert top.newest is None


def test_a_stamp_ahead_by_less_than_the_tolerance_is_kept() -> None:
    assert stream().add(200 * MS, "a", 100 * MS) is None


def test_a_clock_that_jumped_back_clears_the_buffer() -> None:
    top = stream()
    top.add(10_000 * MS, "a", 10_000 * MS)
    assert top.add(5 * MS, "b", 5 * MS) is None
    assert top.newest is not None and top.newest.item == "b"


def test_a_malformed_message_names_why_the_stream_is_silent() -> None:
    top = stream()
    top.refuse(Fault.MALFORMED, "encoding is 'yuv422'")
    assert str(top.problem(0)) == "top: malformed: encoding is 'yuv422'"


def test_a_good_message_clears_the_last_fault() -> None:
    top = stream()
    top.refuse(Fault.MALFORMED, "encoding is 'yuv422'")
    top.add(10 * MS, "a", 10 * MS)
    assert fault(top.problem(500 * MS)) is Fault.STALE


def test_a_dropped_item_is_gone() -> None:
    top = stream()
    top.add(10 * MS, "a", 10 * MS)
    top.drop_newest(Fault.MALFORMED, "JPEG data are corrupt")
    assert top.newest is None
    assert fault(top.problem(10 * MS)) is Fault.MALFORMED


@pytest.mark.parametrize(
    ("wanted_ms", "nearest"),
    [(0, "10"), (14, "10"), (15, "10"), (16, "20"), (29, "30"), (99, "40")],
)
def test_the_nearest_item_wins_and_the_earlier_of_two(wanted_ms: int, nearest: str) -> None:
    joints = stream()
    for stamp_ms in (10, 20, 30, 40):
        joints.add(stamp_ms * MS, str(stamp_ms), stamp_ms * MS)
    entry = joints.nearest(wanted_ms * MS)
    assert entry is not None and entry.item == nearest


def test_only_the_history_is_kept() -> None:
    joints = stream(history=2)
    for stamp_ms in (10, 20, 30):
        joints.add(stamp_ms * MS, str(stamp_ms), stamp_ms * MS)
    entry = joints.nearest(0)
    assert entry is not None and entry.item == "20"


def test_refuses_a_history_of_nothing() -> None:
    with pytest.raises(ValueError, match="history of top is 0"):
        stream(history=0)
