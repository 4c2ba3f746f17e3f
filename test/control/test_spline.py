"""Cubic splines through equally spaced rows."""

from __future__ import annotations

import numpy as np
import pytest

from pi0_ros.control.spline import Spline, curvature_operator, slowing


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 10, 50])
def test_every_row_is_passed_through(rows):
    values = np.random.default_rng(rows).normal(size=(rows, 2))
    spline = Spline(values)
    for k, row in enumerate(values):
        assert spline.sample(float(k))[0] == pytest.approx(row, abs=1e-12)


def test_all_three_derivatives_meet_at_every_row():
    values = np.random.default_rng(0).normal(size=(12, 3))
    spline = Spline(values)
    for k in range(1, 11):
        assert spline.sample(k - 1e-9) == pytest.approx(spline.sample(k + 1e-9), abs=1e-6)


def test_a_straight_line_stays_straight_to_both_ends():
    spline = Spline(np.arange(6.0)[:, None])
    for steps in (0.0, 0.4, 2.5, 4.9, 5.0):
        assert spline.sample(steps)[:, 0] == pytest.approx([steps, 1.0, 0.0], abs=1e-12)


def test_a_cubic_is_met_from_the_first_row_on():
    t = np.arange(40.0)
    spline = Spline((0.001 * t**3 - 0.05 * t**2 + t)[:, None])
    for steps in (0.0, 0.3, 1.7, 9.5):
        value, rate, curvature = spline.sample(steps)[:, 0]
        assert value == pytest.approx(0.001 * steps**3 - 0.05 * steps**2 + steps, abs=1e-10)
        assert rate == pytest.approx(0.003 * steps**2 - 0.1 * steps + 1.0, abs=1e-10)
        assert curvature == pytest.approx(0.006 * steps - 0.1, abs=1e-9)


def test_the_last_row_is_left_without_acceleration():
    spline = Spline(np.random.default_rng(1).normal(size=(9, 1)))
    assert spline.sample(8.0)[2] == pytest.approx([0.0], abs=1e-12)


def test_the_effect_of_an_outlier_row_shrinks_to_a_quarter_with_every_row():
    values = np.zeros((21, 1))
    values[10] = 1.0
    curvature = (curvature_operator(21) @ values)[:, 0]
    assert curvature[13] / curvature[12] == pytest.approx(-0.268, abs=1e-3)


def test_slowing_keeps_normal_time_and_then_stops_at_the_last_row():
    assert slowing(30.0, 40, 10.0) == (30.0, 1.0, 0.0)
    assert slowing(40.0, 40, 10.0)[0] == pytest.approx(38.125)
    assert slowing(50.0, 40, 10.0) == (40.0, 0.0, 0.0)
    steps = np.linspace(29.0, 51.0, 2201)
    time, pace, change = np.array([slowing(s, 40, 10.0) for s in steps]).T
    assert (np.diff(time) >= 0.0).all()
    assert np.gradient(time, steps)[1:-1] == pytest.approx(pace[1:-1], abs=1e-3)
    assert np.gradient(pace, steps)[1:-1] == pytest.approx(change[1:-1], abs=1e-3)
