"""The scripted expert, in the simulation and within the robot's limits."""

from __future__ import annotations

import numpy as np
import pytest

from pi0_bringup.simulation.transfer_cube import TransferCube
from pi0_bringup.simulation.viperx import from_gym, joint_mappings, to_gym
from pi0_bringup.teleoperation.expert.motion import Motion, TransferExpert, UnreachableError
from pi0_bringup.teleoperation.expert.trial import TransferTrial
from pi0_ros.embodiment import Embodiment, load

CUBE = np.array((0.1, 0.5, 0.02))


@pytest.fixture(scope="module")
def trossen() -> Embodiment:
    return load("bimanual_trossen")


@pytest.fixture(scope="module")
def scene(trossen: Embodiment) -> TransferCube:
    return TransferCube(trossen)


@pytest.fixture(scope="module")
def expert(trossen: Embodiment, scene: TransferCube) -> TransferExpert:
    return TransferExpert(scene.model, trossen)


def test_the_same_seed_plans_the_same_motion_and_another_seed_another(
    trossen: Embodiment, expert: TransferExpert
) -> None:
    first, again, other = (expert.plan(CUBE, trossen.home, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert abs(first.duration_s - other.duration_s) > 0.05
    rows = min(len(first.positions), len(other.positions))
    assert np.abs(first.positions[:rows] - other.positions[:rows]).max() > 0.1


def test_the_motion_begins_where_the_arms_are_and_is_slower_than_the_limits(
    trossen: Embodiment, expert: TransferExpert
) -> None:
    start = trossen.home + 0.02
    motion = expert.plan(CUBE, start, 0)
    np.testing.assert_array_equal(motion.positions[0], start)
    assert (np.abs(motion.rates).max(axis=0) < trossen.limits.velocity).all()
    assert 6.0 < motion.duration_s < 12.0


def test_says_where_the_gripper_cannot_reach(trossen: Embodiment, expert: TransferExpert) -> None:
    with pytest.raises(UnreachableError, match=r"cannot reach \[.*\] m: it ends .* cm away"):
        expert.plan(np.array((0.1, 1.5, 0.02)), trossen.home, 0)


def test_a_motion_is_linear_between_samples_and_at_rest_outside() -> None:
    rows = np.array([[0.0], [1.0], [3.0]])
    motion = Motion(0.5, rows, np.array([[1.0], [2.0], [3.0]]))
    assert [motion.at(t)[0][0] for t in (-1.0, 0.25, 0.75, 9.0)] == [0.0, 0.5, 2.0, 3.0]
    assert [motion.at(t)[1][0] for t in (-1.0, 0.25, 9.0)] == [0.0, 1.5, 0.0]


def test_gym_alohas_numbers_survive_the_way_through_the_embodiment(trossen: Embodiment) -> None:
    mappings = joint_mappings(trossen)
    gym_action = np.linspace(0.0, 1.0, 14)
    np.testing.assert_allclose(
        to_gym(mappings, from_gym(mappings, gym_action)), gym_action, atol=1e-6
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_hands_the_cube_over_through_the_executors_limits(trossen: Embodiment, seed: int) -> None:
    trial = TransferTrial(trossen).run(seed)
    assert trial.succeeded
    assert trial.last_reward == 4
    assert trial.following_error < 0.15
