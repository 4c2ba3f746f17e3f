from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoints import TOKENIZER, manifest, small_config, write
from safetensors.torch import load_file, save_file

from pi0_ros.checkpoint import CheckpointError, load, save
from pi0_ros.model import random_pi0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "checkpoint")


def edit_weights(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_loads_what_was_saved(folder: Path) -> None:
    loaded = load(folder)
    assert loaded.manifest == manifest()
    assert loaded.tokenizer_path.read_bytes() == TOKENIZER
    saved = random_pi0(small_config()).state_dict()
    assert all(torch.equal(t, saved[name]) for name, t in loaded.model.state_dict().items())


def test_loaded_weights_are_frozen_and_in_evaluation_mode(folder: Path) -> None:
    model = load(folder).model
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_bfloat16_files_are_float32_on_the_cpu(folder: Path) -> None:
    edit_weights(folder, lambda t: t.update({k: v.bfloat16() for k, v in t.items()}))
    assert {p.dtype for p in load(folder).model.parameters()} == {torch.float32}


def test_the_id_is_the_name_and_the_contents(folder: Path, tmp_path: Path) -> None:
    name, _, digest = load(folder).checkpoint_id.partition("@")
    assert name == "arm-test"
    assert len(bytes.fromhex(digest)) == 4
    assert load(write(tmp_path / "copy")).checkpoint_id == f"{name}@{digest}"


@pytest.mark.parametrize("part", ["weights", "manifest", "tokenizer"])
def test_the_id_changes_with_every_part(folder: Path, part: str) -> None:
    before = load(folder).checkpoint_id
    if part == "weights":
        edit_weights(folder, lambda t: t["action_out_proj.bias"].add_(1e-6))
    elif part == "manifest":
        text = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(text.replace("0.25", "0.26"))
    else:
        (folder / "tokenizer.model").write_bytes(b"another")
    assert load(folder).checkpoint_id != before


def test_saving_again_leaves_a_loaded_model_untouched(folder: Path) -> None:
    model = load(folder).model
    before = model.action_out_proj.weight.clone()
    save(folder, random_pi0(small_config(), seed=9), manifest(), TOKENIZER)
    assert torch.equal(model.action_out_proj.weight, before)
    assert not torch.equal(load(folder).model.action_out_proj.weight, before)


def test_saving_leaves_no_other_files(folder: Path) -> None:
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["manifest.json", "model.safetensors", "tokenizer.model"]


def test_weights_that_cannot_be_saved_leave_the_old_checkpoint(folder: Path) -> None:
    before, broken = load(folder).checkpoint_id, random_pi0(small_config())
    with torch.no_grad():
        broken.action_out_proj.bias[0] = torch.nan
    with pytest.raises(CheckpointError, match=r"not finite \(1\): action_out_proj\.bias"):
        save(folder, broken, manifest(), TOKENIZER)
    assert load(folder).checkpoint_id == before


def test_refuses_to_save_a_manifest_of_another_model(tmp_path: Path) -> None:
    other = replace(small_config(), vocab=21)
    with pytest.raises(CheckpointError, match="pass the manifest of this model"):
        save(tmp_path, random_pi0(other), manifest(), TOKENIZER)
    assert not list(tmp_path.iterdir())


def test_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        load(tmp_path / "nowhere")


def test_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no model\.safetensors in it \(found nothing\)"):
        load(tmp_path)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "last.ckpt", "x.pkl", "x.pth", "x.pickle"]
)
def test_refuses_pickled_weights_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(CheckpointError, match=rf"{name}: pickled weights are refused"):
            load(path)


def test_refuses_truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated or not a safetens"):
        load(folder)


@pytest.mark.parametrize("contents", [b"", b"\x00" * 64, b"not weights at all, but text"])
def test_refuses_corrupt_weights(folder: Path, contents: bytes) -> None:
    (folder / "model.safetensors").write_bytes(contents)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated or not a safetens"):
        load(folder)


def test_lists_missing_unexpected_and_mis_shaped_tensors(folder: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["state_proj.bias"]
        tensors["lora.weight"] = torch.zeros(1)
        tensors["action_in_proj.weight"] = torch.zeros(16, 31)

    edit_weights(folder, change)
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    message = str(caught.value)
    assert "missing (1): state_proj.bias" in message
    assert "unexpected (1): lora.weight" in message
    assert "mis-shaped (1): action_in_proj.weight (16, 31) instead of (16, 32)" in message


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_refuses_weights_that_are_no_floats(folder: Path, dtype: torch.dtype) -> None:
    name = "action_out_proj.bias"
    edit_weights(folder, lambda t: t.update({name: t[name].to(dtype)}))
    spelt = str(dtype).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=rf"not floating point \(1\): {name} {spelt}"):
        load(folder)


def test_refuses_weights_of_another_architecture(folder: Path) -> None:
    save_file({f"resnet.{i}": torch.zeros(2) for i in range(20)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"unexpected \(20\): .* and 12 more"):
        load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_refuses_weights_that_are_not_finite(folder: Path, value: float) -> None:
    edit_weights(folder, lambda t: t["action_in_proj.weight"].view(-1)[5:6].fill_(value))
    with pytest.raises(CheckpointError, match=r"not finite \(1\): action_in_proj\.weight"):
        load(folder)


def test_refuses_weights_without_a_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        load(folder)


def test_refuses_a_missing_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.model").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.model: the tokenizer is missing"):
        load(folder)


def test_refuses_a_manifest_of_another_size(folder: Path) -> None:
    data = json.loads((folder / "manifest.json").read_text())
    data["model"]["vocab"] = 21
    (folder / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"embed_tokens\.weight \(20, 16\) instead of \(21"):
        load(folder)
