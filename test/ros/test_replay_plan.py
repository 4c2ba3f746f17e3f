"""The chunks of a replay, without ROS nodes."""

from __future__ import annotations

import numpy as np
import pytest

from pi0_ros.clients.replay.plan import plan_replay, resampled
from pi0_ros.embodiment import Embodiment, load


@pytest.fixture(scope="module")
def robot() -> Embodiment:
    return load("mobile_trossen")


def recorded(robot: Embodiment, steps: int = 60) -> np.ndarray:
    rows = np.tile(robot.home, (steps, 1))
    rows[:, 0] = np.linspace(0.5, 1.0, steps)
    rows[:, robot.action_names.index("base_x")] = 0.4
    return rows


def test_leads_from_the_commanded_pose_to_the_first_recorded_one(robot: Embodiment) -> None:
    plan = plan_replay(robot, recorded(robot), 50.0, robot.home, 1.0)
    lead = plan.rows[: plan.approach_steps + 1]
    np.testing.assert_array_equal(lead[0], robot.home)
    assert lead[-1, 0] == 0.5
    speed = np.abs(np.diff(lead, axis=0))[:, :14] * robot.rates.chunk_hz
    assert (speed.max(axis=0) <= 0.26 * robot.limits.velocity[:14]).all()
    assert not lead[:-1, 14:].any()  # the base does not drive to the first pose


def test_needs_no_approach_where_the_robot_is_there_already(robot: Embodiment) -> None:
    rows = recorded(robot)
    assert plan_replay(robot, rows, 50.0, rows[0], 1.0).approach_steps == 0


def test_chunks_overlap_agree_and_end_at_rest(robot: Embodiment) -> None:
    plan = plan_replay(robot, recorded(robot), 50.0, robot.home, 1.0)
    first, second = plan.chunk(0), plan.chunk(plan.stride)
    np.testing.assert_array_equal(first[plan.stride :], second[: -plan.stride])
    last = plan.chunk(len(plan.rows) - 3)
    assert last.shape == (robot.rates.horizon, len(robot.action))
    np.testing.assert_array_equal(last[3:, :14], np.tile(plan.rows[-1, :14], (47, 1)))
    assert not last[3:, 14:].any()
    assert plan.rows[-1, 14] == 0.4  # the plan itself is not written to


def test_half_the_speed_takes_twice_as_long_and_drives_the_base_half_as_fast(
    robot: Embodiment,
) -> None:
    rows = recorded(robot, steps=51)
    plan = plan_replay(robot, rows, 50.0, rows[0], 0.5)
    assert len(plan.rows) == 101
    assert plan.rows[50, 0] == pytest.approx(rows[25, 0])
    assert plan.rows[10, 14] == 0.2


def test_another_rate_is_resampled_to_that_of_the_robot() -> None:
    rows = np.array([[0.0], [1.0], [2.0], [4.0]])
    np.testing.assert_allclose(resampled(rows, 0.1, 0.05)[:, 0], (0, 0.5, 1, 1.5, 2, 3, 4))
    np.testing.assert_allclose(resampled(rows, 0.1, 0.2)[:, 0], (0, 2, 4))


@pytest.mark.parametrize(
    ("rows", "speed", "complaint"),
    [
        (np.zeros((1, 16)), 1.0, r"actions of shape \(1, 16\)"),
        (np.full((9, 16), np.nan), 1.0, "two finite rows"),
        (np.zeros((9, 16)), 1.5, r"speed is 1\.5"),
    ],
)
def test_refuses_what_cannot_be_replayed(
    robot: Embodiment, rows: np.ndarray, speed: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        plan_replay(robot, rows, 50.0, robot.home, speed)
