"""openpi's JAX tree becomes the same tensors, and a real orbax folder is read where it can be."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import dimensions, jax_tree, other_heads, weights, write_asset, write_tokenizer

from pi0_ros.checkpoint import CheckpointError, Layout, detect, read
from pi0_ros.checkpoint.dimensions import derive
from pi0_ros.checkpoint.jax_tree import from_jax, head_hints
from pi0_ros.checkpoint.tensors import LazyTensor
from pi0_ros.model import Pi0, variant


def lazy(tree: dict[str, torch.Tensor]) -> dict[str, LazyTensor]:
    return {path: LazyTensor.of(tensor) for path, tensor in tree.items()}


@pytest.mark.parametrize("value", ["", "/value"])
@pytest.mark.parametrize("pi05", [False, True])
def test_every_leaf_finds_its_place(pi05: bool, value: str) -> None:
    config = other_heads(dimensions(pi05=pi05))
    ours = weights(config)
    tree = lazy({path + value: t for path, t in jax_tree(ours, config).items()})
    mapped = from_jax(tree)
    assert mapped.keys() == ours.keys()
    for name, tensor in mapped.items():
        assert tensor.shape == tuple(ours[name].shape)
        assert torch.equal(tensor.read(), ours[name]), name
    shapes = {name: t.shape for name, t in mapped.items()}
    read_off = derive(shapes, head_hints(tree), "tree")
    assert replace(read_off, max_tokens=config.max_tokens) == config


@pytest.mark.parametrize(("name", "leaves"), [("pi0", 50), ("pi05", 51)])
def test_the_published_shapes_are_accepted_at_full_size(name: str, leaves: int) -> None:
    config = variant(name)
    with torch.device("meta"):
        expected = {n: tuple(p.shape) for n, p in Pi0(config).state_dict().items()}
        tree = {path: torch.empty(shape) for path, shape in published(pi05=config.pi05).items()}
    mapped = {n: t.shape for n, t in from_jax(lazy(tree)).items()}
    assert len(tree) == leaves
    assert mapped == expected
    assert derive(mapped, head_hints(lazy(tree)), "tree") == config


def published(*, pi05: bool) -> dict[str, tuple[int, ...]]:
    """Leaves and shapes of a full-size tree, from the published table."""
    img, llm = "PaliGemma/img/", "PaliGemma/llm/"
    block = img + "Transformer/encoderblock/"
    attention = block + "MultiHeadDotProductAttention_0/"
    shapes: dict[str, tuple[int, ...]] = {
        img + "embedding/kernel": (14, 14, 3, 1152),
        img + "embedding/bias": (1152,),
        img + "pos_embedding": (1, 256, 1152),
        img + "Transformer/encoder_norm/scale": (1152,),
        img + "Transformer/encoder_norm/bias": (1152,),
        img + "head/kernel": (1152, 2048),
        img + "head/bias": (2048,),
        block + "MlpBlock_0/Dense_0/kernel": (27, 1152, 4304),
        block + "MlpBlock_0/Dense_0/bias": (27, 4304),
        block + "MlpBlock_0/Dense_1/kernel": (27, 4304, 1152),
        block + "MlpBlock_0/Dense_1/bias": (27, 1152),
        attention + "out/kernel": (27, 16, 72, 1152),
        attention + "out/bias": (27, 1152),
        llm + "embedder/input_embedding": (257152, 2048),
        llm + "layers/attn/q_einsum/w": (18, 8, 2048, 256),
        llm + "layers/attn/kv_einsum/w": (18, 2, 1, 2048, 256),
        llm + "layers/attn/attn_vec_einsum/w": (18, 8, 256, 2048),
        llm + "layers/mlp/gating_einsum": (18, 2, 2048, 16384),
        llm + "layers/mlp/linear": (18, 16384, 2048),
        llm + "layers/pre_attention_norm/scale": (18, 2048),
        llm + "layers/pre_ffw_norm/scale": (18, 2048),
        llm + "final_norm/scale": (2048,),
        llm + "layers/attn/q_einsum_1/w": (18, 8, 1024, 256),
        llm + "layers/attn/kv_einsum_1/w": (18, 2, 1, 1024, 256),
        llm + "layers/attn/attn_vec_einsum_1/w": (18, 8, 256, 1024),
        llm + "layers/mlp_1/gating_einsum": (18, 2, 1024, 4096),
        llm + "layers/mlp_1/linear": (18, 4096, 1024),
    }
    for i in (0, 1):
        shapes |= {block + f"LayerNorm_{i}/{leaf}": (27, 1152) for leaf in ("scale", "bias")}
    for name in ("query", "key", "value"):
        shapes[attention + name + "/kernel"] = (27, 1152, 16, 72)
        shapes[attention + name + "/bias"] = (27, 16, 72)
    norms = {"layers/pre_attention_norm_1": (18,), "layers/pre_ffw_norm_1": (18,)}
    for norm, depth in {**norms, "final_norm_1": ()}.items():
        if pi05:
            shapes[f"{llm}{norm}/Dense_0/kernel"] = (*depth, 1024, 3072)
            shapes[f"{llm}{norm}/Dense_0/bias"] = (*depth, 3072)
        else:
            shapes[f"{llm}{norm}/scale"] = (*depth, 1024)
    linears = {"action_in_proj": (32, 1024), "action_out_proj": (1024, 32)}
    if pi05:
        linears |= {"time_mlp_in": (1024, 1024), "time_mlp_out": (1024, 1024)}
    else:
        linears |= {"state_proj": (32, 1024), "action_time_mlp_in": (2048, 1024)}
        linears |= {"action_time_mlp_out": (1024, 1024)}
    for name, kernel in linears.items():
        shapes |= {name + "/kernel": kernel, name + "/bias": kernel[1:]}
    return shapes


def test_adapters_are_merged_into_what_they_adapt() -> None:
    config = dimensions()
    tree = jax_tree(weights(config), config)
    attention = "params/PaliGemma/llm/layers/attn/q_einsum_1"
    mlp = "params/PaliGemma/llm/layers/mlp/gating_einsum"
    generator = torch.Generator().manual_seed(1)
    adapted = dict(tree)
    merged = dict(tree)
    for path, stem in ((attention + "/w", attention + "/"), (mlp, mlp + "_")):
        *lead, into, out = tree[path].shape
        a = torch.randn(*lead, into, 2, generator=generator)
        b = torch.randn(*lead, 2, out, generator=generator)
        adapted |= {stem + "lora_a": a, stem + "lora_b": b}
        merged[path] = tree[path] + a @ b
    expected, mapped = from_jax(lazy(merged)), from_jax(lazy(adapted))
    assert mapped.keys() == expected.keys()
    assert all(torch.equal(mapped[n].read(), expected[n].read()) for n in expected)


def test_adapters_of_frozen_half_width_leaves_keep_what_they_learned() -> None:
    config = dimensions()
    path = "params/PaliGemma/llm/layers/mlp/linear"
    leaf = jax_tree(weights(config), config)[path].bfloat16()
    a, b = torch.full((3, 28, 2), 1e-3), torch.full((3, 2, 20), 1e-3)
    adapted = {path: leaf, path + "_lora_a": a, path + "_lora_b": b}
    merged = from_jax(lazy(adapted))["backbone.layers.1.mlp.down_proj.weight"].read()
    assert torch.equal(merged, (leaf.float() + a @ b)[1].T)


def test_refuses_leaves_that_have_no_place_and_half_an_adapter() -> None:
    config = dimensions()
    tree = jax_tree(weights(config), config)
    with pytest.raises(CheckpointError, match=r"unknown \(1\): PaliGemma/llm/wings"):
        from_jax(lazy(tree | {"params/PaliGemma/llm/wings": torch.zeros(2)}))
    half = {"params/PaliGemma/llm/layers/mlp/linear_lora_a": torch.zeros(2, 2)}
    with pytest.raises(CheckpointError, match=r"linear_lora_a or .*linear_lora_b is missing"):
        from_jax(lazy(tree | half))
    with pytest.raises(CheckpointError, match="state_proj/kernel has shape"):
        from_jax(lazy(tree | {"params/state_proj/kernel": torch.zeros(3)}))


def folder_with_metadata(root: Path) -> Path:
    (root / "params").mkdir(parents=True)
    (root / "params" / "manifest.ocdbt").write_bytes(b"")
    metadata = {"tree_metadata": {"('params', 'state_proj', 'bias')": {}}}
    (root / "params" / "_METADATA").write_text(json.dumps(metadata))
    return root


def test_says_which_package_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_with_metadata(tmp_path)
    assert detect(tmp_path).layout is Layout.JAX
    assert detect(tmp_path / "params").root == tmp_path
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    with pytest.raises(CheckpointError, match="pip install tensorstore"):
        read(tmp_path)


@pytest.mark.parametrize("metadata", ["", "{}", '{"tree_metadata": {"__import__(1)": {}}}'])
def test_refuses_bad_metadata(tmp_path: Path, metadata: str) -> None:
    pytest.importorskip("tensorstore")
    folder_with_metadata(tmp_path)
    (tmp_path / "params" / "_METADATA").write_text(metadata)
    with pytest.raises(CheckpointError, match="_METADATA"):
        read(tmp_path)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("pi05", [False, True])
def test_reads_an_orbax_folder(tmp_path: Path, pi05: bool, half: bool) -> None:
    """Written here as orbax lays it out; :func:`write_orbax` needs tensorstore."""
    config = dimensions(pi05=pi05)
    ours = weights(config)
    write_orbax(tmp_path / "params", jax_tree(ours, config), half=half)
    write_asset(tmp_path, "ur5e", 7)
    write_tokenizer(tmp_path)
    found = read(tmp_path)
    assert (found.layout, found.config) == (Layout.JAX, config)
    dtype = torch.bfloat16 if half else torch.float32
    assert all(torch.equal(found.tensors[n].read(), t.to(dtype)) for n, t in ours.items())


@pytest.mark.parametrize(
    ("said", "message"),
    [({"action_dim": 7}, "action_dim 7 and"), ({"vlm": {"num_heads": 2}}, "vlm.num_heads 2, ten")],
)
def test_refuses_a_configuration_of_another_tree(tmp_path: Path, said: dict, message: str) -> None:
    config = dimensions()
    write_orbax(tmp_path / "params", jax_tree(weights(config), config), half=False)
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path)


def write_orbax(params: Path, tree: dict[str, torch.Tensor], *, half: bool) -> None:
    tensorstore = pytest.importorskip("tensorstore")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    params.mkdir(parents=True)
    dtype = ml_dtypes.bfloat16 if half else np.float32
    base = params.resolve().as_uri()
    for path, tensor in tree.items():
        store = {"driver": "ocdbt", "base": base, "path": path.replace("/", ".")}
        array = tensorstore.open(
            {"driver": "zarr", "kvstore": store},
            create=True,
            dtype=np.dtype(dtype),
            shape=list(tensor.shape),
        ).result()
        array.write(tensor.numpy().astype(dtype)).result()
    paths = {str(tuple(path.split("/"))): {} for path in tree}
    metadata = {"tree_metadata": paths, "use_ocdbt": True, "use_zarr3": False}
    (params / "_METADATA").write_text(json.dumps(metadata))
