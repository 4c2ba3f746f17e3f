"""The shortest stop under limits of acceleration and jerk."""

from __future__ import annotations

import numpy as np
import pytest

from pi0_ros.control.braking import extent, follow, plan_stop, reach

A, J = np.array([2.0]), np.array([4.0])


def _stop(v: float, a: float):
    return plan_stop(np.array([v]), np.array([a]), A, J)


def test_a_stop_from_steady_speed_has_three_phases():
    stop = _stop(3.0, 0.0)  # 0.5 s to brake and to release, 1 of 3 rad/s left to either
    assert (stop.onset_s, stop.wait_s, stop.release_s) == pytest.approx((0.5, 1.0, 0.5))
    down, up, speed = extent(stop, J)
    assert (down.item(), up.item(), speed.item()) == pytest.approx((0.0, 3.0, 3.0))


def test_a_slow_motion_stops_before_the_acceleration_limit_is_reached():
    stop = _stop(-0.25, 0.0)
    assert stop.b.item() == pytest.approx(1.0)
    assert stop.wait_s.item() == 0.0
    assert extent(stop, J)[0].item() == pytest.approx(-0.25 * 0.25)


def test_a_stop_from_opposite_velocity_and_acceleration_goes_both_ways():
    stop = _stop(-0.1, 1.5)
    down, up, speed = extent(stop, J)
    path = np.array([follow(stop, t, J)[0, 0] for t in np.linspace(0.0, 2.0, 2001)])
    assert down.item() == pytest.approx(path.min(), abs=1e-6)
    assert up.item() == pytest.approx(path.max(), abs=1e-6)
    assert speed.item() == pytest.approx(1.5**2 / 8.0 - 0.1)


def test_the_rest_of_a_stop_is_the_shortest_stop_from_there():
    rng = np.random.default_rng(0)
    for v, a in zip(rng.uniform(-3, 3, 50), rng.uniform(-2, 2, 50), strict=True):
        stop = _stop(v, a)
        d, v1, a1 = follow(stop, 0.1, J)
        rest = plan_stop(v1, a1, A, J)
        assert d + follow(rest, 9.0, J)[0] == pytest.approx(follow(stop, 9.0, J)[0], abs=1e-9)


def test_a_stop_ends_at_exactly_zero_velocity_and_acceleration():
    assert follow(_stop(1.0, 0.5), 5.0, J)[1:].tolist() == [[0.0], [0.0]]


def test_the_quick_bounds_hold():
    rng = np.random.default_rng(1)
    v, a = rng.uniform(-3, 3, (2, 500))
    a *= A / 3.0
    down, up, speed = extent(plan_stop(v, a, A, J), J)
    most_speed, most = reach(v, a, A, J)
    assert (speed <= most_speed + 1e-12).all()
    assert (np.maximum(-down, up) <= most + 1e-12).all()
