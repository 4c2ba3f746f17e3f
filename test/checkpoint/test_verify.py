"""Recorded outputs, of whatever size, tell a right checkpoint from a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign import dimensions, weights, write_legacy, write_openpi
from safetensors.torch import load_file, save_file
from torch import Tensor

from pi0_ros.checkpoint import CheckpointError, verify
from pi0_ros.checkpoint.tensors import LazyTensor
from pi0_ros.checkpoint.weights import assemble
from pi0_ros.model import Inputs

FIXTURES = Path(__file__).parents[1] / "fixtures"
SLOTS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
CONFIG = replace(dimensions(), action_horizon=7)


def record(path: Path, *, batch: int = 1, slots: tuple[str, ...] = SLOTS) -> dict[str, Tensor]:
    """Random inputs and what the network of :func:`weights` makes of them."""
    g = torch.Generator().manual_seed(3)
    config = CONFIG
    chunk = (batch, config.action_horizon, config.action_dim)
    io: dict[str, Tensor] = {
        "tokens": torch.randint(0, config.vocab, (batch, 5), generator=g),
        "token_mask": torch.tensor([[True, True, True, False, False]] * batch),
        "state": torch.randn(batch, config.action_dim, generator=g),
        "noise": torch.randn(chunk, generator=g),
        "actions": torch.randn(chunk, generator=g),
        "time": torch.rand(batch, generator=g),
    }
    for i, slot in enumerate(slots):
        io[f"image.{slot}"] = torch.randint(
            0, 256, (batch, 3, 28, 28), generator=g, dtype=torch.uint8
        )
        io[f"image_mask.{slot}"] = torch.full((batch,), i != 1)
    model = assemble(
        config, {n: LazyTensor.of(t) for n, t in weights(config).items()}, "random weights"
    )
    images = torch.stack([io[f"image.{s}"].float() / 127.5 - 1 for s in slots], dim=1)
    masks = torch.stack([io[f"image_mask.{s}"] for s in slots], dim=1)
    inputs = Inputs(
        images=images,
        image_mask=masks,
        tokens=io["tokens"],
        token_mask=io["token_mask"],
        state=io["state"],
    )
    with torch.no_grad():
        embedded = model.embed_prefix(inputs)[0]
        io["expected.prefix_embedding"] = embedded
        io[f"expected.image_embedding.{slots[-1]}"] = embedded[:, -9:-5].clone()
        suffix, _ = model.embed_suffix(io["state"], io["noise"], io["time"])
        io["expected.suffix_embedding"] = suffix
        io["expected.loss_per_dim"] = model.loss(inputs, io["actions"], io["noise"], io["time"])
        io["expected.actions.4_steps"] = model.sample(inputs, io["noise"], 4)
    save_file({k: t.contiguous() for k, t in io.items()}, path)
    return io


@pytest.mark.parametrize("name", ["openpi_pi0_tiny", "openpi_pi05_tiny"])
def test_the_public_recordings_agree(name: str) -> None:
    compared = verify(FIXTURES / name, FIXTURES / name / "io.safetensors")
    assert len(compared) == 6
    assert all(c.counted < 1e-4 for c in compared)


@pytest.mark.parametrize("slots", [SLOTS, SLOTS[:2]])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_size_batch_and_set_of_cameras_will_do(
    tmp_path: Path, batch: int, slots: tuple[str, ...]
) -> None:
    """The horizon is the recording's where no configuration says it."""
    write_openpi(tmp_path, CONFIG, configured=False)
    record(tmp_path / "io.safetensors", batch=batch, slots=slots)
    compared = verify(tmp_path, tmp_path / "io.safetensors")
    assert {c.name for c in compared} >= {"actions.4_steps", f"image_embedding.{slots[-1]}"}
    assert all(c.counted < 1e-5 for c in compared)


def test_other_layouts_can_be_verified_too(tmp_path: Path) -> None:
    write_legacy(tmp_path)
    (tmp_path / "config.json").unlink()
    record(tmp_path / "io.safetensors")
    assert all(c.counted < 1e-5 for c in verify(tmp_path, tmp_path / "io.safetensors"))


@pytest.mark.parametrize(
    "output", ["prefix_embedding", "suffix_embedding", "loss_per_dim", "actions.4_steps"]
)
def test_tells_which_output_is_wrong(tmp_path: Path, output: str) -> None:
    write_openpi(tmp_path, CONFIG)
    io = record(tmp_path / "io.safetensors")
    io[f"expected.{output}"] = io[f"expected.{output}"] + 0.01
    save_file({k: t.contiguous() for k, t in io.items()}, tmp_path / "io.safetensors")
    wrong = [c.name for c in verify(tmp_path, tmp_path / "io.safetensors") if c.counted > 1e-4]
    assert wrong == [output]


def test_weights_that_differ_are_noticed(tmp_path: Path) -> None:
    write_openpi(tmp_path, CONFIG)
    record(tmp_path / "io.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["action_in_proj.weight"] *= 1.01
    save_file(tensors, tmp_path / "model.safetensors")
    compared = {c.name: c.counted for c in verify(tmp_path, tmp_path / "io.safetensors")}
    assert compared["suffix_embedding"] > 1e-4
    assert compared["prefix_embedding"] < 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": None}, "noise missing; record the inputs too"),
        ({"time": None}, "time missing"),
        ({"image_mask.base_0_rgb": None}, r"image_mask\.base_0_rgb missing"),
        ({"image.top": torch.zeros(1)}, "image slots top; use base_0_rgb"),
        ({"expected.mood": torch.zeros(1)}, r"expected\.mood is no output of this model"),
        ({"expected.actions.0_steps": torch.zeros(1)}, r"actions\.0_steps is no output"),
        ({"state": torch.zeros(1, 31)}, "do not fit the checkpoint .*state has shape"),
        ({"expected.suffix_embedding": torch.zeros(1, 2)}, r"suffix_embedding has shape \(1, 2\)"),
        ({"noise": torch.zeros(1, 6, 32)}, "do not fit the checkpoint"),
    ],
)
def test_refuses_a_recording_of_something_else(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    write_openpi(tmp_path, CONFIG)
    io = record(tmp_path / "io.safetensors") | change
    kept = {k: t.contiguous() for k, t in io.items() if t is not None}
    save_file(kept, tmp_path / "io.safetensors")
    with pytest.raises(CheckpointError, match=message):
        verify(tmp_path, tmp_path / "io.safetensors")


def test_refuses_a_recording_that_is_missing_or_holds_no_outputs(tmp_path: Path) -> None:
    write_openpi(tmp_path, CONFIG)
    with pytest.raises(CheckpointError, match="no such file"):
        verify(tmp_path, tmp_path / "io.safetensors")
    io = record(tmp_path / "io.safetensors")
    inputs = {k: t for k, t in io.items() if not k.startswith("expected.")}
    save_file(inputs, tmp_path / "io.safetensors")
    with pytest.raises(CheckpointError, match="nothing to compare with"):
        verify(tmp_path, tmp_path / "io.safetensors")


def test_nan_is_never_within_any_tolerance(tmp_path: Path) -> None:
    write_openpi(tmp_path, CONFIG)
    io = record(tmp_path / "io.safetensors")
    io["expected.prefix_embedding"][0, 0, 0] = float("nan")
    save_file({k: t.contiguous() for k, t in io.items()}, tmp_path / "io.safetensors")
    compared = {c.name: c.error for c in verify(tmp_path, tmp_path / "io.safetensors")}
    assert compared["prefix_embedding"] == float("inf")
