"""No command exceeds a limit, for any events in any order."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from arm_with_base import MS, START, Bench, assert_within_limits, embodiment
from hypothesis import given, settings
from hypothesis import strategies as st

from pi0_ros.control import TeleopCommand


def _wander(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.45, size=(10, 4)).cumsum(axis=0)


def _lead(bench: Bench, seed: int) -> object:
    command = TeleopCommand(
        stamp_ns=bench.now_ns,
        source_id="leader",
        deadman=seed % 4 > 0,
        names=("shoulder", "elbow"),
        position=_wander(seed)[-1, :2],
        velocity=np.empty(0),
    )
    return bench.executor.teleoperate(command, bench.now_ns)


def _skip(bench: Bench, _seed: int) -> None:
    """Miss ticks, but too few for a pose resynchronisation."""
    bench.now_ns += min(3 * bench.period_ns, 100 * MS)


#: Events between ticks: name -> function of a bench and a seed.
EVENTS: dict[str, Callable[[Bench, int], object]] = {
    "chunk": lambda bench, seed: bench.offer(_wander(seed)),
    "noise": lambda bench, seed: bench.offer(START + 0.1 * _wander(seed)[::-1]),
    "absurd": lambda bench, seed: bench.offer(1e6 * _wander(seed)),
    "late": lambda bench, seed: bench.offer(_wander(seed), stamp_ns=bench.now_ns - 90 * MS),
    "future": lambda bench, seed: bench.offer(_wander(seed), stamp_ns=bench.now_ns + 70 * MS),
    "lead": _lead,
    "start": lambda bench, _seed: bench.operator.start(bench.now_ns),
    "stop": lambda bench, _seed: bench.operator.stop(),
    "estop": lambda bench, _seed: bench.operator.estop(),
    "reset": lambda bench, _seed: (bench.operator.reset(), bench.operator.start(bench.now_ns)),
    "home": lambda bench, _seed: bench.operator.home(bench.now_ns),
    "hold": lambda bench, _seed: bench.executor.hold("test"),
    "skip": _skip,
    "back": lambda bench, _seed: setattr(bench, "now_ns", bench.now_ns - 300 * MS),
    "cameras": lambda bench, _seed: setattr(bench, "cameras_alive", False),
    "joints": lambda bench, _seed: setattr(bench, "joints_alive", False),
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(1, 15), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([(20.0, 50.0), (50.0, 50.0), (50.0, 500.0), (20.0, 20.0), (50.0, 10.0)]),
    st.sampled_from([math.inf, 1000.0, 100.0]),
)
def test_no_sequence_of_events_exceeds_a_limit(events, rates, jerk):
    bench = Bench(embodiment(*rates, jerk=jerk))
    bench.tick()
    for what, ticks, seed in events:
        bench.cameras_alive = bench.joints_alive = True
        EVENTS[what](bench, seed)
        bench.tick(ticks)
    assert_within_limits(bench.commands(), bench.robot)
