"""Interpolation as a joint_trajectory_controller does it."""

from __future__ import annotations

import numpy as np

from pi0_ros.controllers.trajectory import Trajectory, splice


def test_is_linear_without_velocities() -> None:
    line = Trajectory(times_s=np.array([0.0, 2.0]), positions=np.array([[0.0], [4.0]]))
    position, velocity = line.sample(0.5)
    assert position == [1.0]
    assert velocity == [2.0]


def test_meets_the_velocities_given_at_the_knots() -> None:
    curve = Trajectory(
        times_s=np.array([0.0, 1.0]),
        positions=np.array([[0.0], [1.0]]),
        velocities=np.array([[0.5], [2.0]]),
    )
    assert curve.sample(0.0)[1] == [0.5]
    np.testing.assert_allclose(curve.sample(1.0 - 1e-9)[1], [2.0], atol=1e-6)


def test_reported_velocity_is_the_slope() -> None:
    curve = Trajectory(
        times_s=np.array([0.0, 0.7]),
        positions=np.array([[0.3], [1.0]]),
        velocities=np.array([[-0.5], [2.0]]),
    )
    step = 1e-6
    slope = (curve.sample(0.4 + step)[0] - curve.sample(0.4 - step)[0]) / (2 * step)
    np.testing.assert_allclose(curve.sample(0.4)[1], slope, atol=1e-5)


def test_stands_still_outside_its_time() -> None:
    line = Trajectory(times_s=np.array([1.0, 2.0]), positions=np.array([[3.0], [4.0]]))
    assert line.sample(0.0)[0] == [3.0]
    assert line.sample(5.0)[0] == [4.0]
    assert line.sample(5.0)[1] == [0.0]


def test_splice_drops_knots_that_are_past() -> None:
    line = Trajectory(times_s=np.array([1.0, 2.0, 3.0]), positions=np.array([[1.0], [2.0], [3.0]]))
    spliced = splice(now_s=1.5, position=np.array([0.0]), velocity=np.array([0.0]), following=line)
    np.testing.assert_array_equal(spliced.times_s, [1.5, 2.0, 3.0])
    np.testing.assert_array_equal(spliced.positions, [[0.0], [2.0], [3.0]])


def test_splice_onto_the_past_holds_the_last_knot() -> None:
    line = Trajectory(times_s=np.array([1.0]), positions=np.array([[7.0]]))
    spliced = splice(now_s=1.0, position=np.array([0.0]), velocity=np.array([0.0]), following=line)
    assert spliced.sample(1.0)[0] == [7.0]
