"""Commands as the controllers of a robot would check and follow them."""

from __future__ import annotations

import numpy as np
import pytest

from pi0_bringup.drivers.commands import CommandError, Commands
from pi0_bringup.drivers.trajectory import Trajectory
from pi0_ros.embodiment import Controller, Embodiment, load


@pytest.fixture(scope="module")
def fibocom() -> Embodiment:
    return load("mobile_fibocom")


@pytest.fixture(scope="module")
def trossen() -> Embodiment:
    return load("bimanual_trossen")


def controller(embodiment: Embodiment, name: str) -> Controller:
    return next(c for c in embodiment.controllers if c.name == name)


def waypoints(*rows: tuple[float, list[float]]) -> Trajectory:
    return Trajectory(
        times_s=np.array([t for t, _ in rows]), positions=np.array([p for _, p in rows])
    )


def test_starts_at_the_start_pose(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home)
    np.testing.assert_array_equal(commands.sample(0.0), fibocom.home)


def test_positions_land_in_embodiment_order_and_units(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home)
    commands.positions(controller(fibocom, "right_arm"), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    commands.positions(controller(fibocom, "right_gripper"), [0.044])
    np.testing.assert_allclose(commands.sample(0.0)[7:14], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.5])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([0.1] * 5, "data has 5 numbers; give 6"),
        ([0.1] * 7, "data has 7 numbers; give 6"),
        ([0.1] * 5 + [float("nan")], "data of left_joint_6 is not finite"),
        ([float("inf")] + [0.1] * 5, "data of left_joint_1 is not finite"),
    ],
)
def test_refuses_positions_counts_them_and_keeps_the_last(
    fibocom: Embodiment, data: list[float], complaint: str
) -> None:
    commands = Commands(fibocom, fibocom.home)
    arm = controller(fibocom, "left_arm")
    commands.positions(arm, [0.5] * 6)
    with pytest.raises(CommandError, match=complaint):
        commands.positions(arm, data)
    np.testing.assert_allclose(commands.sample(0.0)[:6], [0.5] * 6)
    assert commands.refused["left_arm"] == 1
    assert commands.accepted["left_arm"] == 1
    assert commands.last_refusal.startswith("left_arm/forward_position_controller/commands: ")


def test_trajectory_columns_are_matched_by_joint_name(trossen: Embodiment) -> None:
    commands = Commands(trossen, trossen.home)
    joints = ["wrist_rotate", "waist", "shoulder", "elbow", "forearm_roll", "wrist_angle"]
    target = waypoints((0.0, [6.0, 1.0, 2.0, 3.0, 4.0, 5.0]))
    commands.trajectory(controller(trossen, "left_arm"), joints, target, now_s=0.0)
    np.testing.assert_allclose(commands.sample(0.0)[:6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def test_trajectory_leaves_from_the_setpoint_and_takes_its_time(trossen: Embodiment) -> None:
    commands = Commands(trossen, np.zeros(14))
    arm = controller(trossen, "left_arm")
    joints = [d.joint for d in trossen.action[:6]]
    commands.trajectory(arm, joints, waypoints((1.2, [1.0] * 6)), now_s=1.0)
    np.testing.assert_allclose(commands.sample(1.1)[:6], [0.5] * 6)
    commands.trajectory(arm, joints, waypoints((1.3, [0.0] * 6)), now_s=1.1)
    np.testing.assert_allclose(commands.sample(1.2)[:6], [0.25] * 6)
    np.testing.assert_allclose(commands.sample(9.0)[:6], [0.0] * 6)


@pytest.mark.parametrize(
    ("joints", "rows", "complaint"),
    [
        (["waist"], [(0.0, [0.1])], r"joint names are \['waist'\]; give waist, shoulder"),
        (["waist"] * 6, [(0.0, [0.1] * 6)], "each once"),
        (None, [(0.0, [0.1] * 6), (0.0, [0.2] * 6)], "times must increase"),
        (None, [(-1.0, [0.1] * 6)], "ended 1.000 s ago"),
        (None, [(0.0, [float("nan")] * 6)], "left_wrist_rotate is not finite"),
        (None, [], "no points"),
    ],
)
def test_refuses_a_trajectory_no_controller_would_follow(
    trossen: Embodiment,
    joints: list[str] | None,
    rows: list[tuple[float, list[float]]],
    complaint: str,
) -> None:
    commands = Commands(trossen, trossen.home)
    joints = joints or [d.joint for d in trossen.action[:6]]
    with pytest.raises(CommandError, match=complaint):
        commands.trajectory(controller(trossen, "left_arm"), joints, waypoints(*rows), now_s=0.0)
    assert commands.refused["left_arm"] == 1
    np.testing.assert_array_equal(commands.sample(0.0), trossen.home)


def test_refuses_a_trajectory_that_does_not_end_at_rest(trossen: Embodiment) -> None:
    commands = Commands(trossen, trossen.home)
    moving = Trajectory(
        times_s=np.array([0.1]), positions=np.zeros((1, 6)), velocities=np.full((1, 6), 0.5)
    )
    joints = [d.joint for d in trossen.action[:6]]
    with pytest.raises(CommandError, match="end at rest"):
        commands.trajectory(controller(trossen, "left_arm"), joints, moving, now_s=0.0)


def test_twist_stops_after_the_base_timeout(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home, base_timeout_s=0.5)
    twist = {"linear.x": 0.3, "linear.y": -0.1, "angular.z": 0.2}
    commands.twist(controller(fibocom, "base"), twist, now_s=1.0)
    np.testing.assert_allclose(commands.sample(1.5)[14:], [0.3, -0.1, 0.2])
    np.testing.assert_allclose(commands.sample(1.51)[14:], [0.0, 0.0, 0.0])


def test_refuses_a_twist_along_an_axis_the_base_does_not_have() -> None:
    embodiment = load("mobile_trossen")
    commands = Commands(embodiment, embodiment.home)
    with pytest.raises(CommandError, match=r"linear\.y is 0\.1; this base moves along linear\.x"):
        commands.twist(controller(embodiment, "base"), {"linear.y": 0.1}, now_s=0.0)


def test_reset_forgets_commands(trossen: Embodiment) -> None:
    commands = Commands(trossen, np.zeros(14))
    joints = [d.joint for d in trossen.action[:6]]
    commands.trajectory(
        controller(trossen, "left_arm"), joints, waypoints((2.0, [1.0] * 6)), now_s=0.0
    )
    commands.reset(trossen.home)
    np.testing.assert_array_equal(commands.sample(1.0), trossen.home)


def test_a_refusal_is_told_once(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home)
    assert commands.complaint() is None
    with pytest.raises(CommandError):
        commands.positions(controller(fibocom, "right_arm"), [0.0])
    complaint = commands.complaint()
    assert complaint is not None
    assert complaint.startswith("1 commands refused, the last: ")
    assert commands.complaint() is None
