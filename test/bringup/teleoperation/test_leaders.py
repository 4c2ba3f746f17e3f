"""Leader arms: their pose in the follower's units, and a start without a jump."""

from __future__ import annotations

import numpy as np
import pytest

from pi0_bringup.simulation.viperx import ARM_JOINTS
from pi0_bringup.teleoperation.leaders import Approach, GestureSwitch, LeaderArms, check_start
from pi0_ros.embodiment import load

MS = 1_000_000
JOINTS = (*ARM_JOINTS, "gripper")
CLOSED, OPEN = -0.6842, 0.3083  # the handle's servo, ALOHA's constants
LEFT, RIGHT = "leader_left/joint_states", "leader_right/joint_states"


@pytest.fixture
def leaders() -> LeaderArms:
    return LeaderArms(load("bimanual_trossen"), timeout_s=0.2)


def pose(handle: float, waist: float = 0.0) -> list[float]:
    return [waist, -0.9, 1.1, 0.0, -0.3, 0.0, handle]


def test_joints_become_action_dimensions_of_their_side(leaders: LeaderArms) -> None:
    leaders.update(LEFT, JOINTS, pose(OPEN, waist=0.1), 0)
    leaders.update(RIGHT, tuple(reversed(JOINTS)), list(reversed(pose(CLOSED, waist=-0.2))), 0)
    values = dict(zip(leaders.names, leaders.at(0)[0], strict=True))
    assert values["left_waist"] == 0.1 and values["right_waist"] == -0.2
    assert values["left_gripper"] == pytest.approx(1.0, abs=1e-5)
    assert values["right_gripper"] == pytest.approx(0.0, abs=1e-5)


def test_a_moving_leader_moves_on_between_its_messages_and_not_for_long(
    leaders: LeaderArms,
) -> None:
    for k in range(20):
        leaders.update(LEFT, JOINTS, pose(OPEN, waist=0.01 * k), 20 * MS * k)
    now_ns = 20 * MS * 19
    position, rate = leaders.at(now_ns + 10 * MS)
    assert rate[0] == pytest.approx(0.5, abs=1e-3)
    assert position[0] == pytest.approx(0.19 + 0.005, abs=1e-4)
    assert leaders.at(now_ns + 500 * MS)[0][0] == pytest.approx(0.19 + 0.03 * 0.5, abs=1e-4)


def test_says_which_leader_is_missing_silent_or_broken(leaders: LeaderArms) -> None:
    assert leaders.problem(0) == f"no joint states of a leader on {LEFT}"
    for topic in (LEFT, RIGHT):
        leaders.update(topic, JOINTS, pose(OPEN), 0)
    assert leaders.problem(200 * MS) is None
    assert leaders.problem(300 * MS) == f"{LEFT} stopped 0.30 s ago"
    leaders.update(RIGHT, JOINTS[:-1], pose(OPEN)[:-1], 300 * MS)
    assert leaders.problem(300 * MS) == f"{RIGHT} has no finite position of joint 'gripper'"


def test_the_gesture_is_both_handles_closed(leaders: LeaderArms) -> None:
    assert not leaders.gesture()
    leaders.update(LEFT, JOINTS, pose(CLOSED), 0)
    leaders.update(RIGHT, JOINTS, pose(OPEN), 0)
    assert not leaders.gesture()
    leaders.update(RIGHT, JOINTS, pose(CLOSED), 0)
    assert leaders.gesture()


def test_a_gesture_counts_when_held_and_only_after_it_was_seen_undone() -> None:
    switch = GestureSwitch(hold_s=0.3)
    switch.update(True, 0)
    switch.update(True, 1000 * MS)
    assert not switch.on  # closed since before anyone looked
    switch.update(False, 1100 * MS)
    switch.update(True, 1200 * MS)
    assert not switch.on
    switch.update(True, 1500 * MS)
    assert switch.on
    switch.update(False, 1600 * MS)
    assert switch.on  # opening a gripper is work, not the end of it
    switch.off()
    switch.update(True, 1700 * MS)
    switch.update(True, 2100 * MS)
    assert not switch.on


def test_the_approach_begins_at_the_follower_ends_at_the_leader_and_keeps_its_speed() -> None:
    approach = Approach(np.array((0.6, -0.1)), speed=np.array((0.3, 0.3)))
    assert approach.duration_s == pytest.approx(3.0)
    np.testing.assert_allclose(approach.offset(0.0)[0], (0.6, -0.1))
    np.testing.assert_allclose(approach.offset(99.0)[0], (0.0, 0.0))
    rates = [abs(approach.offset(t)[1][0]) for t in np.linspace(0.0, 3.0, 31)]
    assert max(rates) == pytest.approx(0.3)


def test_a_leader_far_from_the_follower_is_refused_by_name(leaders: LeaderArms) -> None:
    difference = np.zeros(len(leaders.names))
    difference[leaders.names.index("right_elbow")] = -1.2
    difference[leaders.names.index("left_gripper")] = 5.0
    with pytest.raises(ValueError, match=r"right_elbow is 1\.20 away .* \(at most 1\)"):
        check_start(leaders, difference, 1.0, gesture_may_differ=True)
    check_start(leaders, difference, 1.3, gesture_may_differ=True)
    with pytest.raises(ValueError, match="left_gripper"):
        check_start(leaders, difference, 1.3, gesture_may_differ=False)


def test_a_robot_without_leader_arms_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ur5e\.yaml names no leader arms"):
        LeaderArms(load("ur5e"), timeout_s=0.2)
