"""The scene ``transfer_cube`` behind the joints and cameras of the embodiment."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest
from gym_aloha.tasks import sim
from numpy.typing import NDArray

from pi0_bringup.simulation.rendering import ViewRenderer
from pi0_bringup.simulation.transfer_cube import TransferCube
from pi0_bringup.simulation.viperx import CAMERA_OF_SLOT, DRIVER_JOINTS
from pi0_ros.embodiment import Embodiment, load

LEFT, RIGHT = "follower_left/joint_states", "follower_right/joint_states"


@pytest.fixture(scope="module")
def trossen() -> Embodiment:
    return load("bimanual_trossen")


@pytest.fixture(scope="module")
def scene(trossen: Embodiment) -> TransferCube:
    return TransferCube(trossen)


def run(scene: TransferCube, seed: int, action: NDArray[np.float64]) -> NDArray[np.float64]:
    scene.reset(seed)
    scene.set_command(action)
    scene.step(0.4)
    return scene.data.qpos.copy()


def test_starts_at_the_home_pose_of_the_embodiment(
    trossen: Embodiment, scene: TransferCube
) -> None:
    scene.reset(0)
    np.testing.assert_allclose(scene.measured_action(), trossen.home, atol=1e-4)


def test_same_seed_gives_the_same_cube_and_another_seed_another(scene: TransferCube) -> None:
    poses = []
    for seed in (3, 4, 3):
        scene.reset(seed)
        poses.append(scene.cube_pose)
    np.testing.assert_array_equal(poses[0], poses[2])
    assert np.abs(poses[0] - poses[1]).max() > 0.01


def test_same_seed_and_commands_give_the_same_motion(
    trossen: Embodiment, scene: TransferCube
) -> None:
    action = trossen.home + 0.1
    np.testing.assert_array_equal(run(scene, 5, action), run(scene, 5, action))


def test_arms_go_where_they_are_commanded(trossen: Embodiment, scene: TransferCube) -> None:
    action = trossen.home.copy()
    action[[0, 7]] += [0.4, -0.3]
    action[[6, 13]] = [0.9, 0.5]
    scene.reset(0)
    scene.set_command(action)
    scene.step(2.0)
    measured = scene.measured_action()
    np.testing.assert_allclose(measured[[0, 7]], action[[0, 7]], atol=0.08)
    np.testing.assert_allclose(measured[[6, 13]], action[[6, 13]], atol=0.15)


def test_driver_joints_are_those_of_the_interbotix_driver(scene: TransferCube) -> None:
    scene.reset(0)
    readings = scene.joint_readings()
    assert set(readings) == {LEFT, RIGHT}
    left = readings[LEFT]
    assert left.names == DRIVER_JOINTS
    assert len(left.position) == len(left.velocity) == len(left.effort) == 9
    finger = left.position[DRIVER_JOINTS.index("left_finger")]
    assert finger == pytest.approx(0.02239)
    assert left.position[DRIVER_JOINTS.index("right_finger")] == pytest.approx(-finger)
    # The servo's angle between closed (-0.6213) and open (1.4910).
    assert left.position[DRIVER_JOINTS.index("gripper")] == pytest.approx(-0.4104, abs=1e-3)


def test_velocity_of_the_gripper_servo_is_the_slope_of_its_position(
    trossen: Embodiment, scene: TransferCube
) -> None:
    k = DRIVER_JOINTS.index("gripper")
    action = trossen.home.copy()
    action[6] = 1.0
    run(scene, 0, action)
    before = scene.joint_readings()[LEFT]
    scene.step(0.002)
    after = scene.joint_readings()[LEFT]
    slope = (after.position[k] - before.position[k]) / 0.002
    assert after.velocity[k] == pytest.approx(slope, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("side", "reward"), [("right", 2), ("left", 4)])
def test_reward_is_gym_alohas(scene: TransferCube, side: str, reward: int) -> None:
    scene.reset(0)
    assert scene.reward == 0
    finger = scene.data.body(f"vx300s_{side}/{side}_finger_link").xpos
    address = scene.model.joint("red_box_joint").qposadr[0]
    scene.data.qpos[address : address + 3] = finger
    mujoco.mj_forward(scene.model, scene.data)
    assert scene.reward == reward
    assert scene.task.max_reward == sim.TransferCubeTask().max_reward == 4


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_refuses_a_seed_out_of_range(scene: TransferCube, seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}"):
        scene.reset(seed)


def test_refuses_a_command_that_is_not_14_finite_numbers(scene: TransferCube) -> None:
    with pytest.raises(ValueError, match="give 14 finite numbers"):
        scene.set_command(np.zeros(13))
    with pytest.raises(ValueError, match="give 14 finite numbers"):
        scene.set_command(np.full(14, np.nan))


def test_refuses_a_fraction_of_a_physics_step(scene: TransferCube) -> None:
    with pytest.raises(ValueError, match=r"multiple of the physics step, 0\.002 s"):
        scene.step(0.003)


def test_refuses_an_embodiment_that_is_not_a_viperx_pair() -> None:
    with pytest.raises(ValueError, match=r"names no single arm|commands joint"):
        TransferCube(load("ur5e"))


def test_refuses_a_joint_commanded_twice(trossen: Embodiment) -> None:
    twice = dataclasses.replace(
        trossen,
        action=(*trossen.action[:13], dataclasses.replace(trossen.action[13], joint="waist")),
    )
    with pytest.raises(ValueError, match="once per side"):
        TransferCube(twice)


def test_views_are_lit_differ_and_show_the_cube(scene: TransferCube) -> None:
    scene.reset(0)
    renderer = ViewRenderer(scene.model, 84, 112)
    views = {slot: renderer.render(scene.data, name) for slot, name in CAMERA_OF_SLOT.items()}
    renderer.close()
    for view in views.values():
        assert view.shape == (84, 112, 3)
        assert view.dtype == np.uint8
        assert view.std() > 20.0
    top = views["base_0_rgb"].astype(int)
    red = (top[..., 0] > 150) & (top[..., 1] < 80) & (top[..., 2] < 80)
    assert red.any()
