from __future__ import annotations

from dataclasses import replace

import pytest

from pi0_ros.checkpoint import (
    CheckpointManifest,
    check_compatibility,
    create_untrained,
    load_manifest,
)
from pi0_ros.embodiment import Embodiment, load


@pytest.fixture(scope="module")
def robot() -> Embodiment:
    return load("ur5e")


@pytest.fixture(scope="module")
def fitting(robot: Embodiment, tmp_path_factory: pytest.TempPathFactory) -> CheckpointManifest:
    folder = tmp_path_factory.mktemp("ur5e")
    create_untrained(folder, robot)
    return load_manifest(folder)


def test_accepts_a_checkpoint_made_for_the_robot(
    fitting: CheckpointManifest, robot: Embodiment
) -> None:
    assert check_compatibility(fitting, robot) == ()


def test_refuses_another_horizon(fitting: CheckpointManifest, robot: Embodiment) -> None:
    shorter = replace(fitting, model=replace(fitting.model, action_horizon=10))
    (problem,) = check_compatibility(shorter, robot)
    assert "predicts 10 steps and ur5e expects rates.horizon 50" in problem


def test_refuses_another_step_duration(fitting: CheckpointManifest, robot: Embodiment) -> None:
    (problem,) = check_compatibility(replace(fitting, step_duration_s=0.02), robot)
    assert "steps are 0.02 s apart and ur5e's 0.05 s" in problem


@pytest.mark.parametrize("kind", ["state", "action"])
def test_refuses_other_names_and_another_order(
    fitting: CheckpointManifest, robot: Embodiment, kind: str
) -> None:
    names = getattr(fitting, f"{kind}_names")
    swapped = (names[1], names[0], *names[2:])
    (problem,) = check_compatibility(replace(fitting, **{f"{kind}_names": swapped}), robot)
    assert f"calls {kind} dimension 0 {names[1]!r} and ur5e {names[0]!r}" in problem


def test_refuses_a_checkpoint_of_another_robot(fitting: CheckpointManifest) -> None:
    problems = " ".join(check_compatibility(fitting, load("bimanual_trossen")))
    assert "has 7 state dimensions and bimanual_trossen 14" in problems
    assert "has 7 action dimensions and bimanual_trossen 14" in problems
    assert "has camera right_wrist_0_rgb, which the checkpoint never saw" in problems


def test_refuses_a_checkpoint_that_needs_a_camera_the_robot_lacks(
    fitting: CheckpointManifest, robot: Embodiment
) -> None:
    more = replace(fitting, cameras=("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"))
    (problem,) = check_compatibility(more, robot)
    assert "needs camera right_wrist_0_rgb, which ur5e lacks" in problem


def test_refuses_a_width_without_padding_map(
    fitting: CheckpointManifest, robot: Embodiment
) -> None:
    odd = replace(fitting, model=replace(fitting.model, action_dim=24))
    (problem,) = check_compatibility(odd, robot)
    assert "24 wide and padding maps exist for 18 and 32" in problem
