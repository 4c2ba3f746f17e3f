"""A checkpoint folder that carries π0-small."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pi0_ros.checkpoint import (
    CheckpointError,
    ConversionOptions,
    check_compatibility,
    convert,
    create_untrained,
    load,
    load_manifest,
    save,
    verify,
)
from pi0_ros.checkpoint.tokenizer import wordpiece_vocabulary
from pi0_ros.cli.main import main
from pi0_ros.embodiment import load as load_embodiment
from pi0_ros.model import SMALL_TINY, Pi0Small, random_pi0_small

UR5E = load_embodiment("ur5e")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_untrained(tmp_path / "small", UR5E, config="small_tiny")
    return tmp_path / "small"


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_loads_what_was_saved(folder: Path) -> None:
    loaded = load(folder)
    assert isinstance(loaded.model, Pi0Small)
    assert loaded.manifest.model == SMALL_TINY
    saved = random_pi0_small(SMALL_TINY).state_dict()
    assert all(torch.equal(t, saved[name]) for name, t in loaded.model.state_dict().items())
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())


def test_saving_what_was_loaded_gives_the_same_id(folder: Path, tmp_path: Path) -> None:
    loaded = load(folder)
    save(tmp_path / "copy", loaded.model, loaded.manifest, loaded.tokenizer_path.read_bytes())
    assert load(tmp_path / "copy").checkpoint_id == loaded.checkpoint_id


@pytest.mark.parametrize("name", ["ur5e", "bimanual_trossen", "mobile_fibocom"])
def test_fits_its_own_robot_and_no_other(name: str, tmp_path: Path) -> None:
    create_untrained(tmp_path, load_embodiment(name), config="small_tiny")
    manifest = load_manifest(tmp_path)
    assert check_compatibility(manifest, load_embodiment(name)) == ()
    assert check_compatibility(manifest, load_embodiment("franka")) != ()


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (None, "tokenizer_kind", "sentencepiece", "π0-small reads wordpiece"),
        ("model", "wings", 2, r"json: model\.wings: Unexpected keyword argument"),
        ("model", "views", 2, r"model\.views is 2: the policy fills 3 camera slots"),
        ("model", "max_tokens", 99, "max_tokens is 99 and text.positions 64"),
        ("model", "action_dim", 2, "state_names has 7 names and the model is 2 wide"),
    ],
)
def test_refuses_a_manifest(
    folder: Path, section: str | None, key: str, value: object, message: str
) -> None:
    edit_manifest(folder, lambda data: (data[section] if section else data).update({key: value}))
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_a_manifest_without_a_tokenizer_kind_is_taken_for_sentencepiece(folder: Path) -> None:
    edit_manifest(folder, lambda data: data.pop("tokenizer_kind"))
    with pytest.raises(CheckpointError, match="tokenizer_kind is 'sentencepiece'"):
        load(folder)


def test_refuses_the_weights_of_another_network(folder: Path, tmp_path: Path) -> None:
    create_untrained(tmp_path / "pi0", UR5E)
    (tmp_path / "pi0/model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="not the tensors of this architecture: missing"):
        load(folder)


def test_refuses_weights_that_are_not_finite(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["action_in_proj.weight"][0, 0] = torch.nan
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not finite \(1\): action_in_proj\.weight"):
        load(folder)


def test_there_is_nothing_to_verify_or_convert(folder: Path, tmp_path: Path) -> None:
    save_file({"expected.x": torch.zeros(1)} | _inputs(), tmp_path / "io.safetensors")
    with pytest.raises(CheckpointError, match="a π0-small of this suite"):
        verify(folder, tmp_path / "io.safetensors")
    with pytest.raises(CheckpointError, match="use it as it is"):
        convert(folder, UR5E, tmp_path / "out", ConversionOptions())


def _inputs() -> dict[str, torch.Tensor]:
    return {name: torch.zeros(1) for name in ("tokens", "token_mask", "state", "noise")}


def test_the_demonstration_vocabulary_fits_and_knows_every_ascii_character() -> None:
    pieces = wordpiece_vocabulary(SMALL_TINY.vocab).decode().splitlines()
    assert pieces[:4] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    assert len(pieces) == len(set(pieces)) <= SMALL_TINY.vocab
    printable = {chr(code).lower() for code in range(33, 127)}
    assert printable <= set(pieces)
    assert {"fold", "towel", "##e"} <= set(pieces)
    assert len(wordpiece_vocabulary(50).decode().splitlines()) == 50


def test_an_unknown_variant_is_answered_with_all_names(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="use one of pi0, pi05, tiny, small, small_tiny"):
        create_untrained(tmp_path, UR5E, config="huge")


def test_the_command_creates_and_inspects(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = str(tmp_path / "c")
    assert main(["checkpoint", "create", "ur5e", "--config", "small_tiny", "--out", out]) == 0
    assert main(["checkpoint", "inspect", out]) == 0
    shown = capsys.readouterr().out
    assert "ur5e-small_tiny-untrained@" in shown
    assert "π0-small, 32 wide, vision 32x2, text 48x2, encoder 64x2, expert 64x2" in shown
    assert "vocab.txt (wordpiece), 512 rows, 48 tokens" in shown
    assert "809,144 (float32" in shown
    assert "problems        none" in shown
