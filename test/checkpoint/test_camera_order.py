"""Views are fed in the order that the network was trained with: its tokens have positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import dimensions, lerobot_config, write_lerobot
from safetensors.torch import save_file

from pi0_ros.checkpoint import ConversionOptions, convert, load, verify
from pi0_ros.embodiment import load as robot
from pi0_ros.model import Inputs
from pi0_ros.policy.backends.local import LocalPolicy
from pi0_ros.policy.options import InferenceOptions
from pi0_ros.policy.pipeline import Pipeline
from pi0_ros.policy.types import Observation

UR5E = robot("ur5e")
BASE, LEFT, RIGHT = "base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"
STEPS = 2


def features(*slots: str) -> dict[str, dict]:
    """The cameras of a LeRobot configuration, in the order it lists them in."""
    plain = lerobot_config(dimensions())["input_features"]
    return {f"observation.images.{slot}": plain[f"observation.images.{slot}"] for slot in slots}


def observed() -> Observation:
    views = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3), dtype=np.uint8)
    return Observation(
        images=views, slot_mask=UR5E.slot_mask, state=np.zeros(7), prompt="fold", stamp_ns=0
    )


def sampled(folder: Path, order: list[int]) -> np.ndarray:
    """Actions of the network itself, given the two views in ``order``."""
    loaded, seen = load(folder), observed()
    pipeline = Pipeline.of(loaded.manifest, loaded.tokenizer_path, UR5E)
    inputs = pipeline.prepare(seen)
    views = torch.from_numpy(seen.images[order]).permute(0, 3, 1, 2) / 127.5 - 1
    noise = torch.randn(
        (1, loaded.manifest.horizon, 32), generator=torch.Generator().manual_seed(0)
    )
    sample = Inputs(
        images=views,
        image_mask=torch.ones(2, dtype=torch.bool),
        tokens=torch.from_numpy(inputs.tokens),
        token_mask=torch.from_numpy(inputs.token_mask),
        state=torch.from_numpy(inputs.state),
    )
    output = loaded.model.sample(Inputs.stack([sample]), noise, STEPS)
    return pipeline.actions(output[0].numpy(), seen.state)


@pytest.mark.parametrize(
    ("listed", "trained"),
    [((LEFT, BASE), [1, 0]), ((RIGHT, LEFT, BASE), [1, 0]), ((BASE, LEFT, RIGHT), [0, 1])],
)
def test_a_lerobot_checkpoint_is_fed_its_cameras_in_the_order_it_lists_them(
    tmp_path: Path, listed: tuple[str, ...], trained: list[int]
) -> None:
    source = write_lerobot(tmp_path / "source", input_features=features(*listed))
    manifest = convert(source, UR5E, tmp_path / "out", ConversionOptions())
    assert manifest.cameras == tuple(slot for slot in listed if slot != RIGHT)
    options = InferenceOptions(num_steps=STEPS, seed=0)
    chunk = LocalPolicy(tmp_path / "out", UR5E, options).infer(observed())
    np.testing.assert_allclose(chunk.actions, sampled(tmp_path / "out", trained), atol=1e-4)
    other = sampled(tmp_path / "out", trained[::-1])
    assert np.abs(chunk.actions - other).max() > 0.01


def test_cameras_of_other_names_are_taken_in_slot_order(tmp_path: Path) -> None:
    plain = features(BASE)[f"observation.images.{BASE}"]
    named = {f"observation.images.{name}": plain for name in ("wrist", "top")}
    source = write_lerobot(tmp_path / "source", input_features=named)
    assert convert(source, UR5E, tmp_path / "out", ConversionOptions()).cameras == (BASE, LEFT)


def test_a_recording_is_verified_in_the_checkpoint_s_order(tmp_path: Path) -> None:
    source = write_lerobot(tmp_path / "source", input_features=features(LEFT, BASE))
    convert(source, UR5E, tmp_path / "out", ConversionOptions())
    model = load(tmp_path / "out").model
    generator = torch.Generator().manual_seed(1)
    images = 2 * torch.rand(1, 2, 3, 28, 28, generator=generator) - 1
    io = {
        "tokens": torch.arange(5)[None],
        "token_mask": torch.ones(1, 5, dtype=torch.bool),
        "state": torch.randn(1, 32, generator=generator),
        "noise": torch.randn(1, model.config.action_horizon, 32, generator=generator),
    }
    inputs = Inputs(
        images=images,
        image_mask=torch.ones(1, 2, dtype=torch.bool),
        tokens=io["tokens"],
        token_mask=io["token_mask"],
        state=io["state"],
    )
    io["expected.actions.2_steps"] = model.sample(inputs, io["noise"], 2)
    for index, slot in enumerate((LEFT, BASE)):
        io[f"image.{slot}"] = images[:, index].contiguous()
        io[f"image_mask.{slot}"] = torch.ones(1, dtype=torch.bool)
    save_file(io, tmp_path / "io.safetensors")
    for folder in (source, tmp_path / "out"):
        (comparison,) = verify(folder, tmp_path / "io.safetensors")
        assert comparison.error < 1e-4
