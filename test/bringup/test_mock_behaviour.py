"""The mock robot's joints, base and cameras, without ROS."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pi0_bringup.mock.joints import MockJoints, start_pose
from pi0_bringup.mock.lag import LaggedAxes
from pi0_bringup.mock.odometry import PlanarPose
from pi0_bringup.mock.pattern import PHASES, PatternCamera, pattern, scaled_size
from pi0_ros.embodiment import LimitArrays, available, load


def limits(velocity: float = 100.0) -> LimitArrays:
    return LimitArrays(
        lower=np.array([-1.0]),
        upper=np.array([1.0]),
        velocity=np.array([velocity]),
        acceleration=np.array([1.0]),
        jerk=np.array([np.inf]),
    )


def test_lag_closes_63_percent_in_one_time_constant() -> None:
    axes = LaggedAxes(limits(), np.zeros(1), time_constant_s=0.1)
    for _ in range(10):
        axes.advance(np.array([1.0]), 0.01)
    np.testing.assert_allclose(axes.position, [1.0 - math.exp(-1.0)])


def test_lag_does_not_depend_on_the_step() -> None:
    coarse = LaggedAxes(limits(), np.zeros(1), time_constant_s=0.1)
    fine = LaggedAxes(limits(), np.zeros(1), time_constant_s=0.1)
    coarse.advance(np.array([0.5]), 0.08)
    for _ in range(8):
        fine.advance(np.array([0.5]), 0.01)
    np.testing.assert_allclose(coarse.position, fine.position)


def test_speed_is_bounded() -> None:
    axes = LaggedAxes(limits(velocity=2.0), np.zeros(1), time_constant_s=0.01)
    axes.advance(np.array([1.0]), 0.05)
    np.testing.assert_allclose(axes.position, [0.1])
    np.testing.assert_allclose(axes.velocity, [2.0])


def test_setpoint_beyond_the_limit_stops_at_it() -> None:
    axes = LaggedAxes(limits(), np.zeros(1), time_constant_s=0.0)
    axes.advance(np.array([9.0]), 1.0)
    np.testing.assert_allclose(axes.position, [1.0])


def test_refuses_a_negative_time_constant() -> None:
    with pytest.raises(ValueError, match=r"time_constant_s is -0\.1"):
        LaggedAxes(limits(), np.zeros(1), time_constant_s=-0.1)


@pytest.mark.parametrize("name", available())
def test_drivers_show_the_home_pose_in_raw_units(name: str) -> None:
    embodiment = load(name)
    joints = MockJoints(embodiment, embodiment.home, 0.05)
    readings = joints.readings()
    home = dict(zip((d.state for d in embodiment.action), embodiment.home, strict=True))
    for state in embodiment.state:
        reading = readings[state.topic]
        raw = reading.position[reading.names.index(state.joint)]
        assert state.scale * raw + state.offset == pytest.approx(home.get(state.name, 0.0))


def test_missing_joint_is_left_out_of_its_message() -> None:
    embodiment = load("ur5e")
    joints = MockJoints(embodiment, embodiment.home, 0.05, missing=["elbow"])
    assert "elbow_joint" not in joints.readings()["joint_states"].names
    assert len(joints.readings()["joint_states"].names) == 5


def test_refuses_a_missing_joint_that_does_not_exist() -> None:
    embodiment = load("ur5e")
    with pytest.raises(ValueError, match="missing_joints names knee; ur5e has shoulder_pan"):
        MockJoints(embodiment, embodiment.home, 0.05, missing=["knee"])


def test_start_pose_is_home_unless_given() -> None:
    embodiment = load("ur5e")
    np.testing.assert_array_equal(start_pose(embodiment, []), embodiment.home)
    np.testing.assert_array_equal(start_pose(embodiment, [0.1] * 7), [0.1] * 7)
    with pytest.raises(ValueError, match="give 7 finite numbers"):
        start_pose(embodiment, [0.1] * 6)


def test_base_drives_straight() -> None:
    pose = PlanarPose(yaw_rad=math.pi / 2).moved(0.5, 0.0, 0.0, 2.0)
    assert (pose.x_m, pose.y_m) == pytest.approx((0.0, 1.0))


def test_base_moves_sideways() -> None:
    pose = PlanarPose().moved(0.0, 0.5, 0.0, 2.0)
    assert (pose.x_m, pose.y_m) == pytest.approx((0.0, 1.0))


def test_base_drives_a_quarter_circle() -> None:
    pose = PlanarPose().moved(math.pi / 2, 0.0, math.pi / 2, 1.0)
    assert (pose.x_m, pose.y_m, pose.yaw_rad) == pytest.approx((1.0, 1.0, math.pi / 2))


def test_an_arc_is_the_same_in_one_step_or_many() -> None:
    whole = PlanarPose().moved(0.3, -0.1, 0.8, 3.0)
    stepped = PlanarPose()
    for _ in range(300):
        stepped = stepped.moved(0.3, -0.1, 0.8, 0.01)
    assert dataclasses.astuple(stepped) == pytest.approx(dataclasses.astuple(whole))


def test_yaw_wraps() -> None:
    assert PlanarPose(yaw_rad=3.0).moved(0.0, 0.0, 1.0, 1.0).yaw_rad == pytest.approx(
        4.0 - 2 * math.pi
    )


def test_every_phase_of_the_pattern_differs() -> None:
    frames = {pattern(48, 64, phase, "").tobytes() for phase in range(PHASES)}
    assert len(frames) == PHASES


def test_camera_moves_unless_frozen() -> None:
    camera = load("ur5e").cameras[0]
    moving = PatternCamera(camera, 0.1, frozen=False)
    frozen = PatternCamera(camera, 0.1, frozen=True)
    assert moving.frame().data != moving.frame().data
    assert frozen.frame().data == frozen.frame().data


def test_scaled_frames_keep_the_aspect() -> None:
    camera = load("ur5e").cameras[0]
    assert scaled_size(camera, 0.35) == (168, 224)
    with pytest.raises(ValueError, match="camera_scale is 0"):
        scaled_size(camera, 0.0)
