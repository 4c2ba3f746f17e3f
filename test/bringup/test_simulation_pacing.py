"""The pace of simulated time on a steady clock that the test moves."""

from __future__ import annotations

import itertools

import pytest

from pi0_bringup.simulation.pacing import Cadence, Pacer

TICK_NS = 10_000_000


class FakeClock:
    """A steady clock that advances only by sleeping."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def pacer(factor: float, clock: FakeClock) -> Pacer:
    return Pacer(factor, now_ns=lambda: clock.now_ns, sleep=clock.sleep)


@pytest.mark.parametrize(("factor", "wall_ns"), [(1.0, 990_000_000), (0.5, 1_980_000_000)])
def test_takes_the_time_the_factor_asks_for(factor: float, wall_ns: int) -> None:
    clock = FakeClock()
    begin_ns = clock.now_ns
    pace = pacer(factor, clock)
    for tick in range(100):
        pace.wait_for(tick * TICK_NS)
    assert clock.now_ns - begin_ns == pytest.approx(wall_ns, abs=1000)
    assert pace.achieved == pytest.approx(factor)


def test_factor_zero_never_sleeps() -> None:
    clock = FakeClock()
    begin_ns = clock.now_ns
    pace = pacer(0.0, clock)
    for tick in range(100):
        pace.wait_for(tick * TICK_NS)
    assert clock.now_ns == begin_ns


def test_catches_up_after_one_late_tick() -> None:
    clock = FakeClock()
    begin_ns = clock.now_ns
    pace = pacer(1.0, clock)
    for tick in range(100):
        pace.wait_for(tick * TICK_NS)
        if tick == 50:
            clock.now_ns += 30_000_000
    assert clock.now_ns - begin_ns == pytest.approx(990_000_000, abs=1000)


def test_makes_up_for_lateness_without_a_burst() -> None:
    clock = FakeClock()
    pace = pacer(1.0, clock)
    released = []
    for tick in range(20):
        pace.wait_for(tick * TICK_NS)
        released.append(clock.now_ns)
        if tick == 5:
            clock.now_ns += 50_000_000
    gaps = [after - before for before, after in itertools.pairwise(released[6:])]
    assert min(gaps) == pytest.approx(TICK_NS // 2, abs=1000)
    assert gaps[-1] == pytest.approx(TICK_NS, abs=1000)


def test_runs_slower_instead_of_racing_after_a_long_stall() -> None:
    clock = FakeClock()
    pace = pacer(1.0, clock)
    pace.wait_for(0)
    clock.now_ns += 1_000_000_000
    pace.wait_for(TICK_NS)
    resumed_ns = clock.now_ns
    pace.wait_for(2 * TICK_NS)
    assert clock.now_ns - resumed_ns == pytest.approx(TICK_NS, abs=1000)
    assert pace.achieved < 0.1


def test_cadence_of_30_hz_on_a_100_hz_clock() -> None:
    cadence = Cadence(30.0, 100.0)
    due = [tick for tick in range(1, 21) if cadence.due(tick)]
    assert due == [4, 7, 10, 14, 17, 20]


def test_cadence_of_the_clock_itself_is_every_tick() -> None:
    cadence = Cadence(100.0, 100.0)
    assert all(cadence.due(tick) for tick in range(1, 500))
