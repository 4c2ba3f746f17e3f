"""When sets are complete, what goes into them, and which stream is to blame."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi0_ros.embodiment import SyncTolerances
from pi0_ros.sync import AlignedSet, Aligner, CameraStream, Fault, SyncRefusal

MS = 1_000_000
PERIOD_MS = 33
TOLERANCES = SyncTolerances(
    camera_skew_s=0.040, state_skew_s=0.020, max_age_s=0.250, observation_timeout_s=0.5
)


class Bench:
    """An aligner fed in milliseconds; collects what each arrival leads to."""

    def __init__(self, *cameras: str, rates: tuple[float, ...] = ()) -> None:
        rates = rates or (1000 / PERIOD_MS,) * len(cameras)
        specs = [CameraStream(name=n, rate_hz=r) for n, r in zip(cameras, rates, strict=True)]
        self.aligner: Aligner[str, float] = Aligner(specs, ["joints"], TOLERANCES)
        self.outcomes: list[tuple[int, AlignedSet[str, float] | SyncRefusal]] = []

    def joints(self, *stamps_ms: int) -> Bench:
        for stamp in stamps_ms:
            self.aligner.states["joints"].add(stamp * MS, float(stamp), stamp * MS)
        return self

    def frame(self, camera: str, stamp_ms: int, now_ms: int | None = None) -> Bench:
        now = stamp_ms if now_ms is None else now_ms
        self.aligner.cameras[camera].add(stamp_ms * MS, f"{camera}{stamp_ms}", now * MS)
        return self.look(now)

    def look(self, now_ms: int) -> Bench:
        outcome = self.aligner.select(now_ms * MS)
        if outcome is not None:
            self.outcomes.append((now_ms, outcome))
        return self

    @property
    def sets(self) -> list[tuple[int, list[str]]]:
        return [
            (now, [frame.item for frame in outcome.frames.values()])
            for now, outcome in self.outcomes
            if isinstance(outcome, AlignedSet)
        ]

    @property
    def refusals(self) -> list[tuple[str, Fault]]:
        return [(o.stream, o.fault) for _, o in self.outcomes if isinstance(o, SyncRefusal)]

    def only_set(self) -> AlignedSet[str, float]:
        (outcome,) = (o for _, o in self.outcomes if isinstance(o, AlignedSet))
        return outcome


def test_a_set_is_complete_when_the_last_camera_arrives() -> None:
    bench = Bench("a", "b", "c").joints(0)
    bench.frame("a", 0).frame("b", 2).frame("c", 4)
    assert bench.sets == [(4, ["a0", "b2", "c4"])]


def test_a_set_reports_skew_age_and_stamps() -> None:
    bench = Bench("a", "b").joints(5)
    bench.frame("a", 0, now_ms=10).frame("b", 8, now_ms=18)
    found = bench.only_set()
    assert found.stamp_ns == 8 * MS
    assert (found.skew_ns, found.camera_skew_ns) == (8 * MS, 8 * MS)
    assert (found.oldest_ns, found.age_ns) == (0, 18 * MS)
    assert found.state_stamp_ns == 5 * MS


def test_skew_counts_the_joint_state_too() -> None:
    bench = Bench("a").joints(88)
    bench.frame("a", 100)
    assert bench.only_set().skew_ns == 12 * MS
    assert bench.only_set().camera_skew_ns == 0


def test_takes_the_joint_state_nearest_to_the_newest_frame() -> None:
    bench = Bench("a", "b").joints(0, 20, 40, 60)
    bench.frame("a", 30, now_ms=60).frame("b", 38, now_ms=60)
    assert bench.only_set().states["joints"].item == 40.0


def test_every_camera_must_be_newer_than_in_the_last_set() -> None:
    bench = Bench("a", "b").joints(0, 33)
    bench.frame("a", 0).frame("b", 2)
    bench.frame("a", 33)
    assert [now for now, _ in bench.sets] == [2]
    bench.frame("b", 35)
    assert [now for now, _ in bench.sets] == [2, 35]


def test_one_set_per_period_and_nothing_waits_once_the_order_is_found() -> None:
    bench = Bench("a", "b", "c")
    for tick in range(10):
        bench.joints(tick * PERIOD_MS)
        for offset, camera in enumerate("abc"):
            bench.frame(camera, tick * PERIOD_MS + 2 * offset)
    assert [now for now, _ in bench.sets] == [tick * PERIOD_MS + 4 for tick in range(10)]
    assert not bench.refusals


def test_a_start_in_the_worse_order_waits_once_for_the_better_one() -> None:
    bench = Bench("a", "b", "c").joints(0)
    bench.frame("b", 2).frame("c", 4).joints(33).frame("a", 33).frame("b", 35)
    assert bench.sets == []
    bench.frame("c", 37)
    assert bench.sets == [(37, ["a33", "b35", "c37"])]


def test_a_wait_for_a_better_frame_ends_when_it_is_overdue() -> None:
    bench = Bench("a", "b").joints(0, 30)
    bench.frame("b", 0).frame("a", 30)
    assert bench.sets == []
    assert not bench.aligner.waits_past(32 * MS)
    assert bench.aligner.waits_past(42 * MS)
    bench.look(42)
    assert bench.sets == [(42, ["a30", "b0"])]


def test_evenly_spread_cameras_wait_for_nothing() -> None:
    bench = Bench("a", "b", "c").joints(0, 20)
    bench.frame("a", 0).frame("b", 11).frame("c", 22)
    assert bench.sets == [(22, ["a0", "b11", "c22"])]


def test_a_slower_camera_is_used_again_within_tolerance() -> None:
    bench = Bench("fast", "slow", rates=(30.0, 15.0)).joints(0, 33)
    bench.frame("slow", 0).frame("fast", 0).frame("fast", 33)
    assert bench.sets == [(0, ["fast0", "slow0"]), (33, ["fast33", "slow0"])]


def test_a_slower_camera_out_of_tolerance_is_waited_for_without_blame() -> None:
    bench = Bench("fast", "slow", rates=(30.0, 10.0)).joints(0, 33, 67, 100)
    bench.frame("slow", 0).frame("fast", 0).frame("fast", 33).frame("fast", 67)
    bench.frame("slow", 99).frame("fast", 100)
    assert [now for now, _ in bench.sets] == [0, 33, 99, 100]
    assert bench.refusals == []


def test_a_camera_that_never_publishes_is_named_missing_once_per_lost_set() -> None:
    bench = Bench("a", "b", "c")
    for tick in range(12):
        bench.joints(tick * PERIOD_MS)
        bench.frame("a", tick * PERIOD_MS).frame("b", tick * PERIOD_MS + 2)
    assert bench.sets == []
    assert bench.refusals == [("c", Fault.MISSING)] * 10


def test_a_camera_that_stops_is_named_stale() -> None:
    bench = Bench("a", "b").joints(0)
    bench.frame("a", 0).frame("b", 2)
    bench.joints(300).frame("a", 300)
    assert bench.refusals == [("b", Fault.STALE)]


def test_a_frozen_camera_is_named_frozen() -> None:
    bench = Bench("a", "b").joints(0)
    bench.frame("a", 0).frame("b", 2)
    bench.frame("b", 2, now_ms=300).joints(300).frame("a", 300)
    assert bench.refusals[-1] == ("b", Fault.FROZEN)


def test_a_skewed_camera_is_named_and_the_set_refused() -> None:
    bench = Bench("a", "b", "c").joints(200)
    bench.frame("a", 200).frame("b", 202).frame("c", 100, now_ms=204).look(230)
    assert bench.refusals == [("c", Fault.SKEWED)]
    assert "102.0 ms apart, at most 40.0 ms allowed" in str(bench.outcomes[0][1])


def test_a_camera_whose_clock_is_ahead_is_named_and_not_the_others() -> None:
    bench = Bench("a", "b", "c").joints(200, 300)
    bench.frame("a", 200).frame("b", 202).frame("c", 300, now_ms=204).look(260)
    assert bench.refusals == [("c", Fault.SKEWED)]


def test_joint_states_too_far_from_the_frame_are_named() -> None:
    bench = Bench("a").joints(0)
    bench.frame("a", 30)
    assert bench.refusals == [("joints", Fault.SKEWED)]


def test_missing_joint_states_are_named() -> None:
    bench = Bench("a").frame("a", 30).frame("a", 63)
    assert bench.refusals == [("joints", Fault.MISSING)]


def test_a_set_older_than_allowed_is_refused_as_stale() -> None:
    bench = Bench("a").joints(0)
    bench.frame("a", 0, now_ms=251)
    assert bench.outcomes == []  # no healthy camera, so no set was lost
    assert [p.fault for p in bench.aligner.problems(251 * MS)] == [Fault.STALE, Fault.STALE]


def test_problems_lists_every_stream_at_fault() -> None:
    bench = Bench("a", "b").frame("a", 0)
    assert [p.stream for p in bench.aligner.problems(0)] == ["b", "joints"]


def test_recovers_when_the_stream_comes_back() -> None:
    bench = Bench("a", "b").joints(0)
    bench.frame("a", 0).joints(300).frame("a", 300).frame("b", 302)
    bench.joints(333).frame("a", 333).frame("b", 335)
    assert bench.sets[-1] == (335, ["a333", "b335"])


def test_clear_forgets_frames_and_what_was_used() -> None:
    bench = Bench("a").joints(5000).frame("a", 5000)
    bench.aligner.clear()
    bench.joints(0).frame("a", 0)
    assert [now for now, _ in bench.sets] == [5000, 0]


def test_refuses_to_align_no_cameras() -> None:
    with pytest.raises(ValueError, match="no cameras"):
        Aligner([], ["joints"], TOLERANCES)


@given(
    phases_ms=st.lists(st.integers(0, PERIOD_MS - 1), min_size=2, max_size=4),
    first=st.integers(0, 3),
)
def test_free_running_cameras_reach_nearly_the_least_skew_and_lose_no_set(
    phases_ms: list[int], first: int
) -> None:
    names = [f"c{i}" for i in range(len(phases_ms))]
    bench = Bench(*names)
    arrivals = sorted(
        (tick * PERIOD_MS + phase, name)
        for tick in range(12)
        for name, phase in zip(names, phases_ms, strict=True)
    )[first:]
    for stamp_ms, name in arrivals:
        bench.joints(stamp_ms).frame(name, stamp_ms)
    gaps = [*sorted(phases_ms), min(phases_ms) + PERIOD_MS]
    least_ms = PERIOD_MS - max(after - before for before, after in itertools.pairwise(gaps))
    last = bench.outcomes[-1][1]
    assert isinstance(last, AlignedSet)
    assert last.camera_skew_ns <= (least_ms + 0.25 * PERIOD_MS) * MS + 1
    assert len(bench.sets) >= 10
