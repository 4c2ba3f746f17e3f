"""Jogging joints, end effectors and a base."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pi0_bringup.simulation.viperx import ARM_JOINTS
from pi0_bringup.teleoperation.jogging import EndEffector, Jog, JogSpeeds
from pi0_bringup.teleoperation.kinematics import ArmKinematics, load_model
from pi0_ros.embodiment import Embodiment, load

PERIOD_S = 0.02
LEFT = tuple(f"left_{joint}" for joint in ARM_JOINTS)


@pytest.fixture(scope="module")
def trossen() -> Embodiment:
    return load("bimanual_trossen")


@pytest.fixture(scope="module")
def kinematics() -> ArmKinematics:
    from gym_aloha.constants import ASSETS_DIR

    model = load_model(ASSETS_DIR / "bimanual_viperx_transfer_cube.xml")
    return ArmKinematics(
        model, [f"vx300s_left/{j}" for j in ARM_JOINTS], "vx300s_left/gripper_link"
    )


def engaged(
    robot: Embodiment, speeds: JogSpeeds | None = None, **end_effectors: EndEffector
) -> Jog:
    jog = Jog(robot, end_effectors, speeds or JogSpeeds())
    jog.engage(start(robot))
    return jog


def start(robot: Embodiment) -> NDArray[np.float64]:
    """The home pose with a bent wrist: with a straight one the end effector turns slowly."""
    pose = robot.home
    if "left_wrist_angle" in robot.action_names:
        pose[robot.action_names.index("left_wrist_angle")] = 0.9
    return pose


def test_a_joint_moves_at_its_share_of_the_velocity_limit_and_the_others_stay(
    trossen: Embodiment,
) -> None:
    jog = engaged(trossen, JogSpeeds(joint_share=0.5))
    position, rate = jog.advance({"-left_waist": 0.5}, PERIOD_S, start(trossen))
    speed = -0.5 * 0.5 * trossen.limits.velocity[0]
    assert position[0] == pytest.approx(trossen.home[0] + speed * PERIOD_S)
    assert rate[0] == pytest.approx(speed)
    np.testing.assert_array_equal(position[1:], start(trossen)[1:])
    np.testing.assert_array_equal(rate[1:], 0.0)


def test_a_base_is_commanded_a_velocity_that_is_zero_again_without_a_share() -> None:
    robot = load("mobile_trossen")
    jog = engaged(robot)
    base = robot.action_names.index("base_x")
    assert jog.advance({"base_x": 1.0}, PERIOD_S, robot.home)[0][base] == pytest.approx(0.2)
    assert jog.advance({}, PERIOD_S, robot.home)[0][base] == 0.0


def test_a_joint_runs_no_further_ahead_of_the_robot_than_the_largest_lead(
    trossen: Embodiment,
) -> None:
    jog = engaged(trossen, JogSpeeds(joint_share=1.0, max_lead_s=0.1))
    for _ in range(50):
        position, _ = jog.advance({"left_waist": 1.0}, PERIOD_S, start(trossen))
    assert position[0] == pytest.approx(trossen.home[0] + 0.1 * trossen.limits.velocity[0])


def test_a_joint_stops_at_its_limit(trossen: Embodiment) -> None:
    jog = engaged(trossen)
    position = start(trossen)
    for _ in range(400):
        position, _ = jog.advance({"left_shoulder": 1.0}, PERIOD_S, position)
    assert position[1] == trossen.limits.upper[1]


@pytest.mark.parametrize(
    ("target", "shift"),
    [("left.x", (0.05, 0, 0)), ("-left.z", (0, 0, -0.05)), ("left.y", (0, 0.05, 0))],
)
def test_a_hand_moves_straight_along_an_axis_of_the_world_and_keeps_its_orientation(
    trossen: Embodiment, kinematics: ArmKinematics, target: str, shift: tuple[float, float, float]
) -> None:
    jog = engaged(trossen, JogSpeeds(linear_m_s=0.1), left=EndEffector(LEFT, kinematics))
    before = kinematics.forward(start(trossen)[:6])
    position = start(trossen)
    for _ in range(25):
        position, _ = jog.advance({target: 1.0}, PERIOD_S, position)
    after = kinematics.forward(position[:6])
    np.testing.assert_allclose(after.position - before.position, shift, atol=1e-3)
    np.testing.assert_allclose(after.rotation, before.rotation, atol=1e-2)
    np.testing.assert_array_equal(position[6:], start(trossen)[6:])


def test_a_hand_turns_in_place(trossen: Embodiment, kinematics: ArmKinematics) -> None:
    jog = engaged(trossen, JogSpeeds(angular_rad_s=0.5), left=EndEffector(LEFT, kinematics))
    before = kinematics.forward(start(trossen)[:6])
    position = start(trossen)
    for _ in range(25):
        position, _ = jog.advance({"left.yaw": 1.0}, PERIOD_S, position)
    after = kinematics.forward(position[:6])
    np.testing.assert_allclose(after.position, before.position, atol=1e-3)
    turn = after.rotation @ before.rotation.T
    assert np.arctan2(turn[1, 0], turn[0, 0]) == pytest.approx(0.25, abs=1e-2)


def test_a_hand_at_the_end_of_its_arm_stays_and_comes_back(
    trossen: Embodiment, kinematics: ArmKinematics
) -> None:
    jog = engaged(trossen, JogSpeeds(linear_m_s=0.5), left=EndEffector(LEFT, kinematics))
    position, fastest = start(trossen), 0.0
    for _ in range(100):
        position, rate = jog.advance({"left.z": 1.0}, PERIOD_S, position)
        fastest = max(fastest, float(np.abs(rate).max()))
    assert fastest < trossen.limits.velocity[0]
    highest = kinematics.forward(position[:6]).position[2]
    for _ in range(20):
        position, _ = jog.advance({"-left.z": 1.0}, PERIOD_S, position)
    assert kinematics.forward(position[:6]).position[2] < highest - 0.05


def test_names_what_cannot_be_jogged(trossen: Embodiment, kinematics: ArmKinematics) -> None:
    jog = engaged(trossen, left=EndEffector(LEFT, kinematics))
    jog.check("-left.yaw")
    jog.check("right_gripper")
    with pytest.raises(ValueError, match=r"unknown jog target 'left\.up'; there are .*left\."):
        jog.check("left.up")
    with pytest.raises(ValueError, match="end effector 'left' names dimension 'waist'"):
        Jog(trossen, {"left": EndEffector(("waist",), kinematics)}, JogSpeeds())
    with pytest.raises(ValueError, match="joint_share is 2"):
        JogSpeeds(joint_share=2.0)
