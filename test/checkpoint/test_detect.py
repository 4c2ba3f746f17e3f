"""Every layout is told by its files and gives the same network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from checkpoints import write
from foreign import (
    OWN_TABLE,
    TIED_TABLE,
    dimensions,
    legacy_names,
    openpi_names,
    weights,
    write_legacy,
    write_lerobot,
    write_openpi,
)
from safetensors.torch import load_file, save_file

from pi0_ros.checkpoint import CheckpointError, Layout, detect, load, read


def same_tensors(path: Path, *, pi05: bool = False) -> None:
    found, expected = read(path), weights(dimensions(pi05=pi05))
    assert found.config == dimensions(pi05=pi05)
    assert {name: tuple(t.shape) for name, t in expected.items()} == {
        name: t.shape for name, t in found.tensors.items()
    }
    assert all(torch.equal(found.tensors[name].read(), t) for name, t in expected.items())


@pytest.mark.parametrize("pi05", [False, True])
@pytest.mark.parametrize(
    ("writer", "layout"), [(write_openpi, Layout.OPENPI), (write_lerobot, Layout.LEROBOT)]
)
def test_reads_openpi_and_lerobot(tmp_path: Path, writer, layout: Layout, pi05: bool) -> None:
    writer(tmp_path, dimensions(pi05=pi05))
    assert detect(tmp_path).layout is layout
    same_tensors(tmp_path, pi05=pi05)


def test_reads_the_old_lerobot_layout(tmp_path: Path) -> None:
    write_legacy(tmp_path)
    assert detect(tmp_path).layout is Layout.LEROBOT_LEGACY
    same_tensors(tmp_path)
    assert "left and top" in read(tmp_path).notes["images"]


def test_reads_our_own(tmp_path: Path) -> None:
    assert detect(write(tmp_path)).layout is Layout.OURS
    assert read(tmp_path).manifest == load(tmp_path).manifest


def test_shapes_alone_suffice(tmp_path: Path) -> None:
    write_openpi(tmp_path, configured=False)
    same_tensors(tmp_path)
    assert read(tmp_path).horizon is None


def test_the_name_of_a_variant_counts_only_where_it_fits(tmp_path: Path) -> None:
    write_lerobot(tmp_path, paligemma_variant="gemma_2b")
    same_tensors(tmp_path)


def test_lerobot_needs_no_prefix_and_may_be_tied(tmp_path: Path) -> None:
    write_lerobot(tmp_path)
    save_file(openpi_names(weights(dimensions())), tmp_path / "model.safetensors")
    assert detect(tmp_path).layout is Layout.LEROBOT
    assert read(tmp_path).tied
    same_tensors(tmp_path)


def test_a_mixture_of_old_and_new_names_is_read(tmp_path: Path) -> None:
    write_lerobot(tmp_path)
    new = openpi_names(weights(dimensions()))
    old = legacy_names(new)
    mixed = {
        (o if i % 2 else n): t for i, ((n, t), o) in enumerate(zip(new.items(), old, strict=True))
    }
    save_file(mixed, tmp_path / "model.safetensors")
    same_tensors(tmp_path)


def test_the_table_under_its_own_name_wins_over_the_head(tmp_path: Path) -> None:
    write_openpi(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors[OWN_TABLE] = tensors[TIED_TABLE]
    tensors[TIED_TABLE] = torch.zeros_like(tensors[OWN_TABLE])
    save_file(tensors, tmp_path / "model.safetensors")
    same_tensors(tmp_path)
    assert not read(tmp_path).tied


@pytest.mark.parametrize("pi05", [False, True])
def test_the_time_mlp_may_carry_the_other_generation_s_name(tmp_path: Path, pi05: bool) -> None:
    write_lerobot(tmp_path, dimensions(pi05=pi05))
    tensors = load_file(tmp_path / "model.safetensors")
    there, here = ("action_time_mlp", "time_mlp") if pi05 else ("time_mlp", "action_time_mlp")
    swapped = {
        k.replace(f"model.{here}", f"model.{there}") if f"model.{here}" in k else k: t
        for k, t in tensors.items()
    }
    assert swapped.keys() != tensors.keys()
    if pi05:
        swapped["model.state_proj.weight"] = torch.zeros(12, 32)
    save_file(swapped, tmp_path / "model.safetensors")
    same_tensors(tmp_path, pi05=pi05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reads_sharded_files_of_half_width(tmp_path: Path, dtype: torch.dtype) -> None:
    write_openpi(tmp_path)
    tensors = {k: t.to(dtype) for k, t in load_file(tmp_path / "model.safetensors").items()}
    (tmp_path / "model.safetensors").unlink()
    shard(tmp_path, tensors)
    found = read(tmp_path)
    assert found.dtypes == (str(dtype).removeprefix("torch."),)
    expected = weights(dimensions())
    assert all(torch.equal(t.read(), expected[n].to(dtype)) for n, t in found.tensors.items())


def shard(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    names = sorted(tensors)
    where = {n: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, n in enumerate(names)}
    for file in set(where.values()):
        save_file({n: tensors[n] for n in names if where[n] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def test_refuses_a_missing_shard(tmp_path: Path) -> None:
    shard(tmp_path, openpi_names(weights(dimensions())))
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="shards model-00002-of-00002"):
        read(tmp_path)


@pytest.mark.parametrize(
    "index",
    [
        *("", "[]", "{}", "[" * 100_000, '{"weight_map": {"a": "../x.safetensors"}}'),
        '{"weight_map": {"a": 1, "b": "x.safetensors"}}',
    ],
)
def test_refuses_a_bad_index(tmp_path: Path, index: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match=r"index\.json"):
        read(tmp_path)


def test_finds_the_folder_around_files_and_inside_training_output(tmp_path: Path) -> None:
    write_lerobot(tmp_path / "last" / "pretrained_model")
    assert detect(tmp_path / "last").root == tmp_path / "last" / "pretrained_model"
    inside = tmp_path / "last" / "pretrained_model" / "model.safetensors"
    assert detect(inside).root == inside.parent


def test_refuses_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="found nothing"):
        detect(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        detect(tmp_path / "nowhere")
    (tmp_path / "weights.pt").write_bytes(b"")
    for path in (tmp_path, tmp_path / "weights.pt"):
        with pytest.raises(CheckpointError, match=r"weights\.pt: pickled weights are refused"):
            detect(path)


def test_refuses_another_architecture(tmp_path: Path) -> None:
    save_file({"resnet.conv1.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not a π0 or π0\.5 of any known .*resnet\.conv1"):
        detect(tmp_path)
    (tmp_path / "config.json").write_text('{"type": "act"}')
    with pytest.raises(CheckpointError, match="policy type 'act' is another architecture"):
        detect(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "pi0_fast"}, "policy type 'pi0_fast' is another architecture"),
        ({"type": "pi05"}, "type is pi05 and the tensors are those of pi0"),
        ({"max_action_dim": 18}, "says action_dim 18 and action_in_proj takes 32"),
        ({"chunk_size": "many"}, "action_horizon is 'many': a positive number expected"),
        ({"type": ["pi0"]}, r"policy type \['pi0'\] is another architecture"),
        ({"input_features": ["state"]}, r"input_features is \['state'\]: an object expected"),
        ({"action_feature_names": [1, 2]}, r"is \[1, 2\]: a list of names expected"),
        ({"use_delta_joint_actions_aloha": True}, "use_delta_joint_actions_aloha is set"),
        ({"discrete_state_input": "no"}, "discrete_state_input is 'no': true or false"),
    ],
)
def test_refuses_a_configuration_of_other_weights(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    write_lerobot(tmp_path, **change)
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path)


def test_refuses_an_old_configuration_without_a_map_of_normalisations(tmp_path: Path) -> None:
    write_legacy(tmp_path, normalization_mapping=["MEAN_STD"])
    with pytest.raises(CheckpointError, match=r"config\.json: normalization_mapping is"):
        read(tmp_path)


def test_refuses_two_tensors_for_one_place(tmp_path: Path) -> None:
    write_openpi(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.state_proj.bias"] = tensors["state_proj.bias"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"are both state_proj\.bias: remove one"):
        read(tmp_path)


def test_lists_tensors_that_do_not_belong(tmp_path: Path) -> None:
    write_openpi(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["extra.weight"] = torch.zeros(1)
    tensors["state_proj.weight"] = torch.zeros(12, 31)
    del tensors["action_out_proj.bias"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert "missing (1): action_out_proj.bias" in message
    assert "unexpected (1): extra.weight" in message
    assert "state_proj.weight (12, 31) instead of (12, 32)" in message


def test_loading_without_a_manifest_says_how_to_convert(tmp_path: Path) -> None:
    write_openpi(tmp_path)
    with pytest.raises(CheckpointError, match=r"pi0 checkpoint convert .* --embodiment NAME --out"):
        load(tmp_path)
