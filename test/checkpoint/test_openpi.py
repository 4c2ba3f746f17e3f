from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import pytest
import torch
from foreign import legacy_names
from safetensors.torch import load_file, save_file

from pi0_ros.checkpoint import CheckpointError, load_openpi
from pi0_ros.checkpoint.dimensions import Hints, derive
from pi0_ros.checkpoint.names import rename
from pi0_ros.model import Pi0, variant

FIXTURE = Path(__file__).parents[1] / "fixtures" / "openpi_pi0_tiny"
V = "paligemma_with_expert.paligemma.model.vision_tower.vision_model."
G = "paligemma_with_expert.paligemma.model.language_model."
E = "paligemma_with_expert.gemma_expert.model."
TIED_TABLE = "paligemma_with_expert.paligemma.lm_head.weight"
UNUSED = "paligemma_with_expert.gemma_expert.lm_head.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FIXTURE / name, tmp_path / name)
    return tmp_path


def published_keys(*, pi05: bool) -> dict[str, tuple[int, ...]]:
    """Every key of a full-size file and its shape, from the published tables."""
    shapes: dict[str, tuple[int, ...]] = {
        V + "embeddings.patch_embedding.weight": (1152, 3, 14, 14),
        V + "embeddings.patch_embedding.bias": (1152,),
        V + "embeddings.position_embedding.weight": (256, 1152),
        "paligemma_with_expert.paligemma.model.multi_modal_projector.linear.weight": (2048, 1152),
        "paligemma_with_expert.paligemma.model.multi_modal_projector.linear.bias": (2048,),
        TIED_TABLE: (257152, 2048),
        UNUSED: (257152, 1024),
        G + "norm.weight": (2048,),
        "action_in_proj.weight": (1024, 32),
        "action_in_proj.bias": (1024,),
        "action_out_proj.weight": (32, 1024),
        "action_out_proj.bias": (32,),
    }
    norms = [V + "post_layernorm"] + [
        f"{V}encoder.layers.{i}.layer_norm{n}" for i in range(27) for n in (1, 2)
    ]
    for norm in norms:
        shapes |= {norm + ".weight": (1152,), norm + ".bias": (1152,)}
    for i in range(27):
        layer = f"{V}encoder.layers.{i}."
        for p in "qkv":
            shapes |= _linear(f"{layer}self_attn.{p}_proj", 1152, 1152)
        shapes |= _linear(f"{layer}self_attn.out_proj", 1152, 1152)
        shapes |= _linear(f"{layer}mlp.fc1", 4304, 1152) | _linear(f"{layer}mlp.fc2", 1152, 4304)
    for prefix, width, mlp in ((G, 2048, 16384), (E, 1024, 4096)):
        for i in range(18):
            layer = f"{prefix}layers.{i}."
            for name, shape in {
                "self_attn.q_proj": (2048, width),
                "self_attn.k_proj": (256, width),
                "self_attn.v_proj": (256, width),
                "self_attn.o_proj": (width, 2048),
                "mlp.gate_proj": (mlp, width),
                "mlp.up_proj": (mlp, width),
                "mlp.down_proj": (width, mlp),
            }.items():
                shapes[f"{layer}{name}.weight"] = shape
            for norm in ("input_layernorm", "post_attention_layernorm"):
                if pi05 and prefix == E:
                    shapes |= _linear(f"{layer}{norm}.dense", 3072, 1024)
                else:
                    shapes[f"{layer}{norm}.weight"] = (width,)
    if pi05:
        shapes |= _linear(E + "norm.dense", 3072, 1024)
        shapes |= _linear("time_mlp_in", 1024, 1024) | _linear("time_mlp_out", 1024, 1024)
    else:
        shapes[E + "norm.weight"] = (1024,)
        shapes |= _linear("state_proj", 1024, 32) | _linear("action_time_mlp_in", 1024, 2048)
        shapes |= _linear("action_time_mlp_out", 1024, 1024)
    return shapes


def _linear(name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {name + ".weight": (out, into), name + ".bias": (out,)}


@functools.cache
def full_size(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {k: tuple(p.shape) for k, p in Pi0(variant(name)).state_dict().items()}


@pytest.mark.parametrize("legacy", [False, True], ids=["current", "legacy"])
@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("untied", [False, True], ids=["tied", "untied"])
@pytest.mark.parametrize(("name", "tensors"), [("pi0", 777), ("pi05", 812)])
def test_every_published_key_finds_its_place_at_full_size(
    name: str, tensors: int, untied: bool, prefix: str, legacy: bool
) -> None:
    expected = full_size(name)
    with torch.device("meta"):
        published = {k: torch.empty(s) for k, s in published_keys(pi05=name == "pi05").items()}
        if untied:
            published[G + "embed_tokens.weight"] = torch.empty(257152, 2048)
    if legacy:
        published = {k.removeprefix("model."): t for k, t in legacy_names(published).items()}
    assert len(published) == tensors + untied
    ours = {
        k: tuple(t.shape) for k, t in rename({prefix + k: t for k, t in published.items()}).items()
    }
    assert ours == expected
    assert derive(ours, Hints(), name) == variant(name)


def test_keys_may_carry_a_leading_model(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({f"model.{k}": t for k, t in tensors.items()}, folder / "model.safetensors")
    prefixed, plain = load_openpi(folder).state_dict(), load_openpi(FIXTURE).state_dict()
    assert all(torch.equal(prefixed[name], plain[name]) for name in plain)


def test_the_token_table_comes_from_its_own_name_where_both_exist() -> None:
    own, tied = torch.ones(2, 2), torch.zeros(2, 2)
    assert rename({G + "embed_tokens.weight": own, TIED_TABLE: tied}) == {
        "embed_tokens.weight": own
    }
    assert rename({TIED_TABLE: tied}) == {"embed_tokens.weight": tied}


def test_refuses_a_file_that_lacks_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["state_proj.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing \(1\): state_proj\.weight"):
        load_openpi(folder)


def test_a_configuration_may_leave_out_what_the_tensors_show(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for key in ("vision", "vlm", "action_expert"):
        config[key] = {k: v for k, v in config[key].items() if k == "num_heads"}
    (folder / "config.json").write_text(json.dumps(config))
    assert load_openpi(folder).config == load_openpi(FIXTURE).config


def test_refuses_a_configuration_that_contradicts_the_tensors(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vlm"]["mlp_dim"] = 99
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"config\.json: contradicts .*vlm\.mlp_dim 99, ten"):
        load_openpi(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"vision": 3}'])
def test_refuses_what_is_no_configuration(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json: not a model configuration"):
        load_openpi(folder)
