"""Forward and inverse kinematics, on the ViperX and on a URDF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pi0_bringup.simulation.viperx import ARM_JOINTS
from pi0_bringup.teleoperation.kinematics import (
    ArmKinematics,
    Pose,
    load_model,
    rotation_of,
    rotation_vector,
)

URDF = """
<robot name="planar">
  <link name="base"/>
  <joint name="first" type="revolute">
    <parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
    <limit lower="-3" upper="3" effort="1" velocity="1"/>
  </joint>
  <link name="upper"><inertial><mass value="1"/>
    <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="second" type="revolute">
    <parent link="upper"/><child link="lower"/><origin xyz="1 0 0"/><axis xyz="0 0 1"/>
    <limit lower="0" upper="3" effort="1" velocity="1"/>
  </joint>
  <link name="lower"><inertial><mass value="1"/>
    <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
</robot>
"""
HOME = np.array((0.0, -0.96, 1.16, 0.0, -0.3, 0.0))


@pytest.fixture(scope="module")
def viperx() -> ArmKinematics:
    from gym_aloha.constants import ASSETS_DIR

    model = load_model(ASSETS_DIR / "bimanual_viperx_transfer_cube.xml")
    joints = [f"vx300s_left/{joint}" for joint in ARM_JOINTS]
    return ArmKinematics(model, joints, "vx300s_left/gripper_link")


def test_knows_where_the_viperx_hand_is_at_alohas_start_pose(viperx: ArmKinematics) -> None:
    pose = viperx.forward(HOME)
    # gym-aloha's own constant for the mocap body of its left hand.
    np.testing.assert_allclose(pose.position, (-0.31718881, 0.5, 0.29525084), atol=1e-8)
    np.testing.assert_allclose(rotation_vector(pose.rotation), (0.0, -0.1, 0.0), atol=1e-6)


def test_finds_joints_for_a_pose_and_says_that_it_is_reached(viperx: ArmKinematics) -> None:
    target = viperx.forward(HOME).moved(np.array((0.05, 0.04, -0.06)), np.array((0.2, 0.1, -0.1)))
    solution = viperx.solve(target, HOME)
    assert solution.reached
    reached = viperx.forward(solution.joints)
    np.testing.assert_allclose(reached.position, target.position, atol=1e-3)
    np.testing.assert_allclose(reached.rotation, target.rotation, atol=1e-2)


def test_ends_near_an_unreachable_pose_and_says_how_far_it_is(viperx: ArmKinematics) -> None:
    far = Pose(np.array((2.0, 0.5, 0.3)), np.eye(3))
    solution = viperx.solve(far, HOME)
    assert not solution.reached
    hand = viperx.forward(solution.joints).position
    assert solution.position_error_m == pytest.approx(np.linalg.norm(far.position - hand))
    assert np.isfinite(solution.joints).all()


def test_reads_a_urdf_and_stays_within_its_joint_limits(tmp_path: Path) -> None:
    path = tmp_path / "planar.urdf"
    path.write_text(URDF)
    arm = ArmKinematics(load_model(path), ("first", "second"), "lower", tool=(1.0, 0.0, 0.0))
    np.testing.assert_allclose(arm.forward(np.array((0.0, 0.5 * np.pi))).position, (1, 1, 0))
    bent_the_other_way = arm.forward(np.array((0.0, -0.5)))
    assert arm.solve(bent_the_other_way, np.array((0.0, 0.1))).joints[1] >= 0.0


def test_names_what_the_model_lacks(tmp_path: Path) -> None:
    path = tmp_path / "planar.urdf"
    path.write_text(URDF)
    model = load_model(path)
    with pytest.raises(ValueError, match="no joint 'third'; it has first, second"):
        ArmKinematics(model, ("third",), "lower")
    with pytest.raises(ValueError, match="no body 'hand'"):
        ArmKinematics(model, ("first",), "hand")
    with pytest.raises(ValueError, match=r"nothing\.urdf' cannot be loaded"):
        load_model(tmp_path / "nothing.urdf")


def test_a_rotation_vector_survives_the_way_through_a_matrix() -> None:
    vector = np.array((0.3, -0.2, 0.5))
    np.testing.assert_allclose(rotation_vector(rotation_of(vector)), vector, atol=1e-12)
    np.testing.assert_array_equal(rotation_of(np.zeros(3)), np.eye(3))
