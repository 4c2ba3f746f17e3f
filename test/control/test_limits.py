"""No limit is ever exceeded, and a reachable reference is met exactly."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import assert_stream_within
from hypothesis import given, settings
from hypothesis import strategies as st

from pi0_ros.control.acceleration_limit import stopping_speed
from pi0_ros.control.limits import ACCELERATION, JERK, POSITION, VELOCITY, Limiter
from pi0_ros.embodiment import LimitArrays

DT = 0.02
RATES_HZ = [10.0, 20.0, 50.0, 125.0, 333.0, 500.0]


def _limits(lower=-1.0, upper=1.0, velocity=2.0, acceleration=10.0, jerk=np.inf) -> LimitArrays:
    return LimitArrays(
        lower=np.array([lower]),
        upper=np.array([upper]),
        velocity=np.array([velocity]),
        acceleration=np.array([acceleration]),
        jerk=np.array([jerk]),
    )


def _run(limiter: Limiter, targets, rates=None) -> np.ndarray:
    rates = np.zeros(len(targets)) if rates is None else rates
    out = [limiter.position]
    for target, rate in zip(targets, rates, strict=True):
        limiter.track(np.array([target]), np.array([rate]))
        out.append(limiter.position)
    return np.array(out)[:, 0]


def test_stopping_speed_is_the_inverse_of_the_braking_distance():
    # Braking from x = 3 covers 3 + 2 + 1 = 6; from 2.5 it covers 2.5 + 1.5 + 0.5 = 4.5.
    distance = np.array([0.0, 0.4, 1.0, 3.0, 4.5, 6.0])
    assert stopping_speed(distance) == pytest.approx([0.0, 0.4, 1.0, 2.0, 2.5, 3.0])


def test_a_step_is_reached_without_overshoot_and_stays():
    limiter = Limiter(_limits(), DT, np.array([0.0]))
    path = _run(limiter, [0.7] * 60)
    assert path.max() <= 0.7 + 1e-12
    assert path[-20:] == pytest.approx(0.7)
    assert (np.diff(path) >= -1e-12).all()


def test_a_step_takes_the_least_time_the_limits_allow():
    limiter = Limiter(_limits(), DT, np.array([-1.0]))
    path = _run(limiter, [1.0] * 80)
    # 2 rad at 2 rad/s and 10 rad/s^2: v/a + d/v = 1.2 s, one tick of rounding either side.
    assert np.argmax(path > 1.0 - 1e-9) == pytest.approx(1.2 / DT, abs=1)


def test_a_smooth_reference_within_the_limits_is_met_exactly_without_a_hit():
    t = np.arange(1, 200) * DT
    targets, rates = 0.5 * (1 - np.cos(2 * t)), np.sin(2 * t)
    limiter = Limiter(_limits(), DT, np.array([0.0]))
    assert _run(limiter, targets, rates)[1:] == pytest.approx(targets, abs=1e-12)
    assert not limiter.hits.any()


def test_a_reference_at_full_speed_is_caught_up_with_and_then_met():
    limiter = Limiter(_limits(lower=-100.0, upper=100.0), DT, np.array([0.0]))
    targets = 1.0 + 1.0 * np.arange(1, 200) * DT
    path = _run(limiter, targets, np.ones(len(targets)))
    assert path[-50:] == pytest.approx(targets[-50:], abs=1e-9)


def test_hits_are_counted_for_the_limit_that_binds():
    limiter = Limiter(_limits(upper=10.0), DT, np.array([0.0]))
    _run(limiter, [5.0] * 10)  # 2 rad/s are reached in the tenth tick
    assert (limiter.hits[ACCELERATION, 0], limiter.hits[VELOCITY, 0]) == (9, 1)
    _run(limiter, [5.0] * 10)
    assert (limiter.hits[ACCELERATION, 0], limiter.hits[VELOCITY, 0]) == (9, 11)
    assert limiter.hits[POSITION, 0] == 0
    _run(limiter, [20.0])
    assert limiter.hits[POSITION, 0] == 1


def test_a_target_beyond_a_bound_ends_at_the_bound():
    limiter = Limiter(_limits(), DT, np.array([0.9]))
    path = _run(limiter, [5.0] * 60)
    assert path.max() <= 1.0 + 1e-12
    assert path[-1] == pytest.approx(1.0)


def test_a_start_outside_the_bounds_comes_back_in_and_never_goes_further_out():
    limiter = Limiter(_limits(), DT, np.array([1.05]))
    path = _run(limiter, [3.0] * 60)
    assert path.max() == 1.05
    assert path[-1] == pytest.approx(1.0)


def test_a_start_outside_the_bounds_is_held_where_it_is():
    limiter = Limiter(_limits(), DT, np.array([1.05]))
    limiter.brake(np.array([False]))
    assert limiter.position.tolist() == [1.05]


def test_braking_ends_at_standstill_and_then_repeats_the_same_number():
    limiter = Limiter(_limits(), DT, np.array([0.0]))
    _run(limiter, [1.0] * 10)
    for _ in range(20):
        limiter.brake(np.array([False]))
    held = limiter.position.copy()
    limiter.brake(np.array([False]))
    assert limiter.position.tolist() == held.tolist()
    assert limiter.is_still(np.array([False]))


def test_braking_to_zero_arrives_at_exactly_zero():
    limiter = Limiter(_limits(), DT, np.array([0.437]))
    for _ in range(60):
        limiter.brake(np.array([True]))
    assert limiter.position.tolist() == [0.0]
    assert limiter.is_still(np.array([True]))


def test_a_jerk_limit_that_no_tick_can_exceed_costs_and_changes_nothing():
    plain = Limiter(_limits(), DT, np.array([0.0]))
    vast = Limiter(_limits(jerk=2.0 * 10.0 / DT), DT, np.array([0.0]))
    assert _run(vast, [0.7] * 60).tolist() == _run(plain, [0.7] * 60).tolist()


@pytest.mark.parametrize("jerk", [50.0, 500.0, 5000.0])
def test_a_step_under_a_jerk_limit_is_reached_without_overshoot_and_stays(jerk):
    limiter = Limiter(_limits(jerk=jerk), 0.002, np.array([0.0]))
    path = _run(limiter, [0.7] * 500)
    assert path.max() == 0.7
    assert path[-20:].tolist() == [0.7] * 20
    # 0.7 rad at 2 rad/s and 10 rad/s^2 take 0.53 s, and the jerk a third of a second at 50.
    assert np.argmax(path > 0.7 - 1e-6) * 0.002 < 0.6 + 15.0 / jerk


@pytest.mark.parametrize("jerk", [50.0, 500.0, 5000.0])
def test_a_smooth_reference_within_the_jerk_limit_is_met_exactly_without_a_hit(jerk):
    t = np.arange(1, 500) * 0.002
    targets, rates, changes = 0.5 * (t - np.sin(2 * t) / 2), np.sin(t) ** 2, np.sin(2 * t)
    limiter = Limiter(_limits(jerk=jerk), 0.002, np.array([0.0]))
    for k, target in enumerate(targets):
        limiter.track(np.array([target]), np.array([rates[k]]), np.array([changes[k]]))
        assert limiter.position.tolist() == [target]
    assert not limiter.hits.any()


def test_a_reference_that_starts_at_speed_is_caught_up_with_under_a_jerk_limit():
    limiter = Limiter(_limits(lower=-9.0, upper=9.0, jerk=100.0), 0.002, np.array([0.0]))
    targets = 0.3 + 1.0 * np.arange(1, 700) * 0.002
    assert _run(limiter, targets, np.ones(699))[-50:] == pytest.approx(targets[-50:], abs=1e-9)


def test_hits_under_a_jerk_limit_are_counted_for_the_limit_that_binds():
    limiter = Limiter(_limits(upper=10.0, jerk=100.0), 0.002, np.array([0.0]))
    _run(limiter, [5.0] * 40)  # 10 rad/s^2 take 50 ticks
    assert limiter.hits[:, 0].tolist() == [0, 0, 0, 40]
    _run(limiter, [5.0] * 500)
    assert limiter.hits[ACCELERATION, 0] > 0
    assert limiter.hits[VELOCITY, 0] > 300
    assert limiter.hits[JERK, 0] < 150


def test_dimensions_with_and_without_a_jerk_limit_work_together():
    limits = LimitArrays(
        lower=np.full(3, -1.0),
        upper=np.full(3, 1.0),
        velocity=np.full(3, 2.0),
        acceleration=np.full(3, 10.0),
        jerk=np.array([np.inf, 50.0, np.inf]),
    )
    together = Limiter(limits, 0.002, np.array([0.1, 0.2, 0.3]))
    alone = Limiter(_limits(jerk=50.0), 0.002, np.array([0.2]))
    for _ in range(100):
        together.track(np.array([0.5, 0.6, 0.7]), np.zeros(3))
        alone.track(np.array([0.6]), np.zeros(1))
    assert together.position[1] == alone.position[0]
    assert together.hits[:, 1].tolist() == alone.hits[:, 0].tolist()
    assert together.motion[:, 1].tolist() == alone.motion[:, 0].tolist()
    assert together.position[0] > together.position[1] - 0.1 + 0.05
    for _ in range(600):
        together.brake(np.array([False, True, True]))
    assert together.is_still(np.array([False, True, True]))


def test_under_a_jerk_limit_a_start_outside_comes_back_in_and_never_leaves_again():
    limiter = Limiter(_limits(jerk=200.0), 0.002, np.array([1.3]))
    _run(limiter, [0.5] * 1500)
    for k in range(4000):  # noise about the bound
        flip = (-1.0) ** (k // 7)
        limiter.track(np.array([1.0 + 0.2 * flip]), np.array([2.0]), np.array([-9.0 * flip]))
        assert limiter.position[0] <= 1.0


def test_under_a_jerk_limit_a_start_too_fast_for_the_bound_brakes_and_can_come_back():
    limiter = Limiter(_limits(jerk=100.0), 0.002, np.array([0.95]), np.array([1.5]))
    path = [limiter.position]
    for _ in range(400):
        limiter.brake(np.array([False]))
        path.append(limiter.position)
    # Jerk 100 up to 10 rad/s^2 and back takes v (v/a + a/j) / 2 = 0.1875 rad.
    assert path[-1] == pytest.approx(0.95 + 0.1875)
    assert _run(limiter, [0.0] * 1000)[-1] == 0.0


@st.composite
def _cases(draw):
    acceleration, rate_hz = draw(st.floats(0.1, 200.0)), draw(st.sampled_from(RATES_HZ))
    # Shares of the least jerk that no tick can exceed.
    share = draw(st.sampled_from([np.inf, 1.1, 0.9, 0.5, 0.1, 0.01]))
    return {
        "rate_hz": rate_hz,
        "limits": _limits(
            lower=draw(st.floats(-3.0, -0.1)),
            upper=draw(st.floats(0.1, 3.0)),
            velocity=draw(st.floats(0.05, 10.0)),
            acceleration=acceleration,
            jerk=share * 2.0 * acceleration * rate_hz,
        ),
        "start": draw(st.floats(-1.2, 1.2)),
        "moves": draw(
            st.lists(
                st.tuples(
                    st.sampled_from(["track", "noise", "brake", "zero"]),
                    st.floats(-6.0, 6.0),
                    st.floats(-20.0, 20.0),
                    st.integers(1, 25),
                ),
                min_size=1,
                max_size=8,
            )
        ),
    }


@settings(max_examples=100, deadline=None)
@given(_cases())
def test_no_limit_is_ever_exceeded_over_targets_stops_and_starts(case):
    limits, dt = case["limits"], 1.0 / case["rate_hz"]
    start = case["start"] * (limits.upper if case["start"] > 0 else -limits.lower)
    limiter = Limiter(limits, dt, start)
    path = [limiter.position]
    for verb, target, rate, ticks in case["moves"]:
        for k in range(ticks):
            if verb == "track":
                limiter.track(np.array([target + k * rate * dt]), np.array([rate]))
            elif verb == "noise":
                flip = np.array([(-1.0) ** k])
                limiter.track(flip * target, flip * rate, 10.0 * flip * rate)
            else:
                limiter.brake(np.array([verb == "zero"]))
            path.append(limiter.position)
    assert_stream_within(np.array(path), limits, dt)
