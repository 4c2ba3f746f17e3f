"""π0-small in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pi0_ros.checkpoint import create_untrained, load, save
from pi0_ros.embodiment import load as load_embodiment
from pi0_ros.policy.backends.local import LocalPolicy, batch_of_one, example_observation
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.options import InferenceOptions
from pi0_ros.policy.types import STAGES, Observation

UR5E = load_embodiment("ur5e")
OPTIONS = InferenceOptions(seed=0, num_steps=2)


@pytest.fixture(scope="module")
def trained(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with weights that let the observation through to the actions."""
    directory = tmp_path_factory.mktemp("policy") / "perturbed"
    loaded = load(small_checkpoint)
    generator = torch.Generator().manual_seed(1)
    for parameter in loaded.model.parameters():
        parameter.data = parameter + 0.05 * torch.randn(parameter.shape, generator=generator)
    vocabulary = loaded.tokenizer_path.read_bytes()
    save(directory, loaded.model, replace(loaded.manifest, trained=True), vocabulary)
    return directory


@pytest.mark.parametrize("name", ["ur5e", "bimanual_trossen"])
def test_a_chunk_has_the_embodiments_shape_and_every_stage(name: str, tmp_path: Path) -> None:
    robot = load_embodiment(name)
    create_untrained(tmp_path, robot, config="small_tiny")
    policy = LocalPolicy(tmp_path, robot, OPTIONS)
    chunk = policy.infer(example_observation(robot, policy.image_size))
    assert policy.checkpoint_id.startswith(f"{name}-small_tiny-untrained@")
    assert chunk.actions.shape == (robot.rates.horizon, len(robot.action))
    assert chunk.actions.dtype == np.float32
    assert np.isfinite(chunk.actions).all()
    assert chunk.stage_names == STAGES
    assert all(duration > 0.0 for duration in chunk.stage_ms)
    assert sum(chunk.stage_ms[:-1]) == pytest.approx(chunk.stage_ms[-1])


def test_the_actions_depend_on_every_part_of_the_observation(trained: Path) -> None:
    seen = example_observation(UR5E, 224)
    others = {
        "the same": seen,
        "images": replace(seen, images=np.zeros_like(seen.images)),
        "state": replace(seen, state=seen.state + 0.5),
        "prompt": replace(seen, prompt="fold the towel"),
    }
    policy = LocalPolicy(trained, UR5E, OPTIONS)

    def infer(observation: Observation) -> np.ndarray:
        policy._generator.manual_seed(0)
        return policy.infer(observation).actions

    first = infer(seen)
    unchanged = {what for what, other in others.items() if np.array_equal(infer(other), first)}
    assert unchanged == {"the same"}


def test_leaving_the_absent_camera_out_changes_nothing(trained: Path) -> None:
    policy = LocalPolicy(trained, UR5E, OPTIONS)
    model = load(trained).model
    inputs = batch_of_one(policy._pipeline.prepare(example_observation(UR5E, 224)))
    assert inputs.image_mask.tolist() == [[True, True, False]]
    noise = torch.randn(1, 50, 32, generator=torch.Generator().manual_seed(2))
    masked = model.sample(inputs, noise, num_steps=2)
    dropped = policy._model.sample_actions(policy._model.prefill(inputs), inputs.state, noise, 2)
    torch.testing.assert_close(dropped, masked, atol=1e-5, rtol=1e-4)


def test_refuses_a_sentencepiece_model_in_place_of_the_vocabulary(
    checkpoint: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    loaded = load(small_checkpoint)
    wrong = (checkpoint / "tokenizer.model").read_bytes()
    save(tmp_path, loaded.model, loaded.manifest, wrong)
    with pytest.raises(PolicyError, match="not a WordPiece vocabulary"):
        LocalPolicy(tmp_path, UR5E, OPTIONS)
