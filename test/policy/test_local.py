"""The network in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pi0_ros.checkpoint import CheckpointError
from pi0_ros.embodiment import load
from pi0_ros.policy.backends.local import LocalPolicy, example_observation
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.options import InferenceOptions
from pi0_ros.policy.types import STAGES

UR5E = load("ur5e")
EXAMPLE = example_observation(UR5E, 224)


def policy(checkpoint: Path, seed: int = 0) -> LocalPolicy:
    return LocalPolicy(checkpoint, UR5E, InferenceOptions(seed=seed, num_steps=2))


def test_a_chunk_has_the_embodiments_shape_and_every_stage(checkpoint: Path) -> None:
    chunk = policy(checkpoint).infer(EXAMPLE)
    assert chunk.actions.shape == (50, 7)
    assert chunk.actions.dtype == np.float32
    assert np.isfinite(chunk.actions).all()
    assert chunk.stage_names == STAGES
    assert all(duration > 0.0 for duration in chunk.stage_ms)


def test_stages_add_up_to_the_total(checkpoint: Path) -> None:
    chunk = policy(checkpoint).infer(EXAMPLE)
    assert sum(chunk.stage_ms[:-1]) == pytest.approx(chunk.stage_ms[-1])


def test_the_same_seed_gives_the_same_chunks(checkpoint: Path) -> None:
    first, second = (policy(checkpoint).infer(EXAMPLE).actions for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_another_seed_gives_another_chunk(checkpoint: Path) -> None:
    first = policy(checkpoint, seed=0).infer(EXAMPLE).actions
    other = policy(checkpoint, seed=1).infer(EXAMPLE).actions
    assert not np.array_equal(first, other)


def test_says_which_checkpoint_it_is_and_that_it_is_untrained(checkpoint: Path) -> None:
    loaded = policy(checkpoint)
    assert loaded.checkpoint_id.startswith("ur5e-tiny-untrained@")
    assert loaded.trained is False
    assert loaded.image_size == 224


def test_refuses_a_checkpoint_of_another_embodiment(checkpoint: Path) -> None:
    with pytest.raises(PolicyError, match=r"does not fit bimanual_trossen: .*7 state dimensions"):
        LocalPolicy(checkpoint, load("bimanual_trossen"))


def test_refuses_a_missing_checkpoint_and_never_falls_back(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        LocalPolicy(tmp_path / "nothing", UR5E)


def test_refuses_output_with_nan(checkpoint: Path) -> None:
    loaded = policy(checkpoint)
    with torch.no_grad():
        loaded._model.model.action_out_proj.bias.fill_(torch.nan)
    with pytest.raises(PolicyError, match="not finite in shoulder_pan"):
        loaded.infer(EXAMPLE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps is 0"),
        ({"seed": -2}, "seed is -2"),
        ({"threads": -1}, "threads is -1"),
    ],
)
def test_refuses_bad_options(options: dict[str, int], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        InferenceOptions(**options)


@pytest.mark.parametrize("device", ["tpu:9", "abacus", "mps"])
def test_refuses_an_unknown_device(checkpoint: Path, device: str) -> None:
    with pytest.raises(PolicyError, match="use cpu, cuda or cuda:N"):
        LocalPolicy(checkpoint, UR5E, InferenceOptions(device=device))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is usable here")
def test_refuses_a_gpu_that_is_not_there(checkpoint: Path) -> None:
    with pytest.raises(PolicyError, match="no GPU is usable here"):
        LocalPolicy(checkpoint, UR5E, InferenceOptions(device="cuda"))


def test_refuses_a_gpu_beyond_the_last(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(PolicyError, match="'cuda:2' and GPUs here end at cuda:1"):
        LocalPolicy(checkpoint, UR5E, InferenceOptions(device="cuda:2"))
