"""Commands as the controllers of a robot would check and follow them."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from pi0_bringup.drivers.commands import Commands
from pi0_ros.controllers import CommandError
from pi0_ros.embodiment import Controller, Embodiment, load


@pytest.fixture(scope="module")
def fibocom() -> Embodiment:
    return load("mobile_fibocom")


@pytest.fixture(scope="module")
def trossen() -> Embodiment:
    return load("bimanual_trossen")


def controller(embodiment: Embodiment, name: str) -> Controller:
    return next(c for c in embodiment.controllers if c.name == name)


def positions(data: list[float]) -> Float64MultiArray:
    return Float64MultiArray(data=data)


def trajectory(
    joints: list[str], *rows: tuple[float, list[float]], velocities: list[float] | None = None
) -> JointTrajectory:
    """Points at these times [s] on the robot's clock; all with the same velocities."""
    points = [
        JointTrajectoryPoint(
            positions=row, velocities=velocities or [], time_from_start=duration(time_s - 1.0)
        )
        for time_s, row in rows
    ]
    message = JointTrajectory(joint_names=joints, points=points)
    message.header.stamp.sec = 1
    return message


def duration(seconds: float) -> Duration:
    sec, nanosec = divmod(round(seconds * 1e9), 10**9)
    return Duration(sec=sec, nanosec=nanosec)


def twist(**axes: float) -> TwistStamped:
    """Axes are called ``linear_x`` and so on."""
    message = TwistStamped()
    for name, speed in axes.items():
        group, axis = name.split("_")
        setattr(getattr(message.twist, group), axis, speed)
    return message


def test_starts_at_the_start_pose(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home)
    np.testing.assert_array_equal(commands.sample(0.0), fibocom.home)


def test_positions_land_in_embodiment_order_and_units(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home)
    arm, gripper = (controller(fibocom, name) for name in ("right_arm", "right_gripper"))
    commands.receive(arm, positions([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), 0.0)
    commands.receive(gripper, positions([0.044]), 0.0)
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
    commands.receive(arm, positions([0.5] * 6), 0.0)
    with pytest.raises(CommandError, match=complaint):
        commands.receive(arm, positions(data), 0.0)
    np.testing.assert_allclose(commands.sample(0.0)[:6], [0.5] * 6)
    assert commands.refused["left_arm"] == 1
    assert commands.accepted["left_arm"] == 1
    assert commands.last_refusal.startswith("left_arm/forward_position_controller/commands: ")


def test_trajectory_columns_are_matched_by_joint_name(trossen: Embodiment) -> None:
    commands = Commands(trossen, trossen.home)
    joints = ["wrist_rotate", "waist", "shoulder", "elbow", "forearm_roll", "wrist_angle"]
    target = trajectory(joints, (1.0, [6.0, 1.0, 2.0, 3.0, 4.0, 5.0]))
    commands.receive(controller(trossen, "left_arm"), target, now_s=1.0)
    np.testing.assert_allclose(commands.sample(1.0)[:6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def test_trajectory_leaves_from_the_setpoint_and_takes_its_time(trossen: Embodiment) -> None:
    commands = Commands(trossen, np.zeros(14))
    arm = controller(trossen, "left_arm")
    joints = [d.joint for d in trossen.action[:6]]
    commands.receive(arm, trajectory(joints, (1.2, [1.0] * 6)), now_s=1.0)
    np.testing.assert_allclose(commands.sample(1.1)[:6], [0.5] * 6)
    commands.receive(arm, trajectory(joints, (1.3, [0.0] * 6)), now_s=1.1)
    np.testing.assert_allclose(commands.sample(1.2)[:6], [0.25] * 6)
    np.testing.assert_allclose(commands.sample(9.0)[:6], [0.0] * 6)


@pytest.mark.parametrize(
    ("joints", "rows", "complaint"),
    [
        (["waist"], [(1.0, [0.1])], r"joint names are \['waist'\]; give waist, shoulder"),
        (["waist"] * 6, [(1.0, [0.1] * 6)], "each once"),
        (None, [(1.0, [0.1] * 6), (1.0, [0.2] * 6)], "times must increase"),
        (None, [(0.0, [0.1] * 6)], "ended 1.000 s ago"),
        (None, [(1.0, [0.1] * 5)], r"points of \[5\] positions for 6 joint names"),
        (None, [(1.0, [float("nan")] * 6)], "left_wrist_rotate is not finite"),
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
        commands.receive(controller(trossen, "left_arm"), trajectory(joints, *rows), now_s=1.0)
    assert commands.refused["left_arm"] == 1
    np.testing.assert_array_equal(commands.sample(0.0), trossen.home)


def test_refuses_a_trajectory_that_does_not_end_at_rest(trossen: Embodiment) -> None:
    commands = Commands(trossen, trossen.home)
    joints = [d.joint for d in trossen.action[:6]]
    moving = trajectory(joints, (1.1, [0.0] * 6), velocities=[0.5] * 6)
    with pytest.raises(CommandError, match="end at rest"):
        commands.receive(controller(trossen, "left_arm"), moving, now_s=1.0)


def test_twist_stops_after_the_base_timeout(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home, base_timeout_s=0.5)
    message = twist(linear_x=0.3, linear_y=-0.1, angular_z=0.2)
    commands.receive(controller(fibocom, "base"), message, now_s=1.0)
    np.testing.assert_allclose(commands.sample(1.5)[14:], [0.3, -0.1, 0.2])
    np.testing.assert_allclose(commands.sample(1.51)[14:], [0.0, 0.0, 0.0])


def test_refuses_a_twist_along_an_axis_the_base_does_not_have() -> None:
    embodiment = load("mobile_trossen")
    commands = Commands(embodiment, embodiment.home)
    with pytest.raises(CommandError, match=r"linear\.y is 0\.1; this base moves along linear\.x"):
        commands.receive(controller(embodiment, "base"), twist(linear_y=0.1), now_s=0.0)


def test_reset_forgets_commands(trossen: Embodiment) -> None:
    commands = Commands(trossen, np.zeros(14))
    joints = [d.joint for d in trossen.action[:6]]
    message = trajectory(joints, (2.0, [1.0] * 6))
    commands.receive(controller(trossen, "left_arm"), message, now_s=1.0)
    commands.reset(trossen.home)
    np.testing.assert_array_equal(commands.sample(1.0), trossen.home)


def test_a_refusal_is_told_once(fibocom: Embodiment) -> None:
    commands = Commands(fibocom, fibocom.home)
    assert commands.complaint() is None
    with pytest.raises(CommandError):
        commands.receive(controller(fibocom, "right_arm"), positions([0.0]), 0.0)
    complaint = commands.complaint()
    assert complaint is not None
    assert complaint.startswith("1 commands refused, the last: ")
    assert commands.complaint() is None
