"""Checkpoints as other projects write them, small and synthetic, for the tests of this folder.

Over 300 lines: the three foreign layouts share their tensors and names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from pi0_ros.checkpoint.tokenizer import train_tokenizer
from pi0_ros.model import GemmaConfig, Pi0, Pi0Config, VisionConfig

PALIGEMMA = "paligemma_with_expert.paligemma."
EXPERT = "paligemma_with_expert.gemma_expert."
TIED_TABLE = PALIGEMMA + "lm_head.weight"
OWN_TABLE = PALIGEMMA + "model.language_model.embed_tokens.weight"
UNUSED = EXPERT + "lm_head.weight"


def dimensions(*, pi05: bool = False) -> Pi0Config:
    """Small, and unlike one another wherever they may be."""
    return Pi0Config(
        vision=VisionConfig(width=64, depth=2, mlp=20, heads=1, patch=14, image_size=28),
        backbone=GemmaConfig(width=20, depth=3, mlp=28, heads=4, kv_heads=1, head_dim=6),
        expert=GemmaConfig(width=12, depth=3, mlp=18, heads=4, kv_heads=1, head_dim=6),
        vocab=700,
        pi05=pi05,
        max_tokens=200 if pi05 else 48,
    )


def weights(config: Pi0Config, seed: int = 0) -> dict[str, Tensor]:
    """Random tensors under our names; none is zero, none is like another."""
    generator = torch.Generator().manual_seed(seed)
    return {n: 0.3 * torch.randn(shape, generator=generator) for n, shape in _shapes(config)}


@cache
def _shapes(config: Pi0Config) -> list[tuple[str, torch.Size]]:
    with torch.device("meta"):
        return [(name, p.shape) for name, p in Pi0(config).state_dict().items()]


def openpi_names(ours: Mapping[str, Tensor], *, tied: bool = True) -> dict[str, Tensor]:
    """The same under openpi's names, written out from the published table, with its junk."""
    theirs = {}
    tower = PALIGEMMA + "model.vision_tower.vision_model."
    for name, tensor in ours.items():
        part, _, rest = name.partition(".")
        if name.startswith(("vision.patch_", "vision.position_")):
            key = tower + "embeddings." + rest
        elif name.startswith("vision.layers."):
            key = tower + "encoder." + rest
        elif name.startswith("vision.projector."):
            key = PALIGEMMA + "model.multi_modal_projector.linear." + rest.partition(".")[2]
        elif part == "vision":
            key = tower + rest
        elif part == "embed_tokens":
            key = TIED_TABLE if tied else OWN_TABLE
        elif part == "backbone":
            key = PALIGEMMA + "model.language_model." + rest
        elif part == "expert":
            key = EXPERT + "model." + rest
        else:
            key = name
        theirs[key] = tensor
    theirs[UNUSED] = torch.full((3, 3), 9.0)
    return theirs


def legacy_names(openpi: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """openpi's names moved to where transformers before 4.52 had them, with ``model.``."""
    moves = (
        (PALIGEMMA + "model.vision_tower.", PALIGEMMA + "vision_tower."),
        (PALIGEMMA + "model.multi_modal_projector.", PALIGEMMA + "multi_modal_projector."),
        (PALIGEMMA + "model.language_model.", PALIGEMMA + "language_model.model."),
        (TIED_TABLE, PALIGEMMA + "language_model.lm_head.weight"),
    )
    moved = {}
    for key, tensor in openpi.items():
        old = next((b + key.removeprefix(a) for a, b in moves if key.startswith(a)), key)
        moved["model." + old] = tensor
    return moved


def write_openpi(folder: Path, config: Pi0Config | None = None, *, configured: bool = True) -> Path:
    """An openpi folder: five-field configuration, one asset of ur5e's width, a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config or dimensions()
    save_file(openpi_names(weights(config)), folder / "model.safetensors")
    if configured:
        five = {
            "action_dim": config.action_dim,
            "action_horizon": config.action_horizon,
            "paligemma_variant": "custom",
            "action_expert_variant": "custom",
            "precision": "float32",
        }
        (folder / "config.json").write_text(json.dumps(five))
    write_asset(folder, "ur5e", 7)
    write_tokenizer(folder)
    return folder


def write_asset(folder: Path, asset: str, width: int, **changes: Any) -> Path:
    """Statistics of the given width for state and actions."""
    section = {
        "mean": [0.01 * i for i in range(width)],
        "std": [0.5 + 0.01 * i for i in range(width)],
        "q01": [-1.0] * width,
        "q99": [1.0 + 0.1 * i for i in range(width)],
    } | changes
    path = folder / "assets" / asset / "norm_stats.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"norm_stats": {"state": section, "actions": section}}))
    return path


def write_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.model").write_bytes(train_tokenizer(512))


def lerobot_config(config: Pi0Config, **changes: Any) -> dict[str, Any]:
    """The fields of LeRobot's configuration that say something about the weights."""
    images = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
    return {
        "type": "pi05" if config.pi05 else "pi0",
        "chunk_size": config.action_horizon,
        "max_state_dim": config.action_dim,
        "max_action_dim": config.action_dim,
        "paligemma_variant": "custom",
        "tokenizer_max_length": config.max_tokens,
        "min_period": 0.004,
        "max_period": 4.0,
        "image_resolution": [28, 28],
        "use_relative_actions": False,
        "input_features": {
            **{f"observation.images.{n}": {"type": "VISUAL", "shape": [3, 28, 28]} for n in images},
            "observation.images.empty_camera_0": {"type": "VISUAL", "shape": [3, 28, 28]},
            "observation.state": {"type": "STATE", "shape": [32]},
        },
    } | changes


def write_lerobot(
    folder: Path, config: Pi0Config | None = None, *, mode: str = "MEAN_STD", **changes: Any
) -> Path:
    """A current LeRobot folder with processors, for seven dimensions, and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config or dimensions()
    named = openpi_names(weights(config), tied=False)
    named[TIED_TABLE] = torch.zeros(config.vocab, config.backbone.width)  # stale
    save_file({"model." + k: t for k, t in named.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(lerobot_config(config, **changes)))
    write_processors(folder, mode=mode)
    return folder


def write_processors(folder: Path, *, mode: str = "MEAN_STD", relative: bool = False) -> None:
    """Pre- and postprocessor; the state files' numbers are not the usual ones."""
    norm_map = {"VISUAL": "IDENTITY", "STATE": mode, "ACTION": mode}
    before = "policy_preprocessor_step_4_normalizer_processor.safetensors"
    after = "policy_postprocessor_step_3_unnormalizer_processor.safetensors"
    tensors = {
        f"{feature}.{key}": torch.full((7,), value)
        for feature, offset in (("observation.state", 0.0), ("action", 1.0))
        for key, value in (
            ("mean", 0.25 + offset),
            ("std", 0.5),
            ("q01", -1.0 + offset),
            ("q99", 1.0 + offset),
            ("q10", -0.5 + offset),
            ("q90", 0.5 + offset),
            ("min", -2.0 + offset),
            ("max", 2.0 + offset),
        )
    }
    save_file(tensors, folder / before)
    save_file(tensors, folder / after)
    (folder / "tokenizer").mkdir(exist_ok=True)
    write_tokenizer(folder / "tokenizer")
    steps = [
        {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
        {
            "registry_name": "tokenizer_processor",
            "config": {"max_length": 48},
            "artifacts": {"tokenizer": "tokenizer"},
        },
        {
            "registry_name": "relative_actions_processor",
            "config": {"enabled": relative, "exclude_joints": ["gripper"], "action_names": None},
        },
        {
            "registry_name": "normalizer_processor",
            "config": {"eps": 1e-8, "features": {}, "norm_map": norm_map},
            "state_file": before,
        },
    ]
    _write_pipeline(folder, "policy_preprocessor", steps)
    unnormalise = {
        "registry_name": "unnormalizer_processor",
        "config": {"eps": 1e-8, "features": {}, "norm_map": norm_map},
        "state_file": after,
    }
    _write_pipeline(folder, "policy_postprocessor", [unnormalise])


def write_legacy(folder: Path, *, stats: float = 0.5, width: int = 7, **changes: Any) -> Path:
    """A LeRobot folder up to 0.3: old names, statistics among the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = dimensions()
    tensors = legacy_names(openpi_names(weights(config)))
    state, action = "normalize_inputs.buffer_observation_state", "unnormalize_outputs.buffer_action"
    for buffer in (state, action):
        tensors[buffer + ".mean"] = torch.full((width,), stats)
        tensors[buffer + ".std"] = torch.full((width,), stats)
    tensors["normalize_targets.buffer_action.mean"] = torch.full((width,), 77.0)
    tensors["normalize_targets.buffer_action.std"] = torch.full((width,), 77.0)
    save_file(tensors, folder / "model.safetensors")
    data = lerobot_config(config)
    for key in ("image_resolution", "use_relative_actions", "min_period", "max_period"):
        del data[key]
    (folder / "config.json").write_text(json.dumps(data | {"adapt_to_pi_aloha": False} | changes))
    write_tokenizer(folder)
    return folder


def jax_tree(ours: Mapping[str, Tensor], config: Pi0Config) -> dict[str, Tensor]:
    """Our tensors as openpi's JAX tree, head by head as its published shapes say."""
    g, llm = config.backbone, "params/PaliGemma/llm/"
    tree: dict[str, Tensor] = {llm + "embedder/input_embedding": ours["embed_tokens.weight"]}
    tree |= _vision_tree(ours, config)
    for stack, mark in (("backbone", ""), ("expert", "_1")):
        layers = range(g.depth)

        def each(name: str, stack: str = stack, layers: range = layers) -> list[Tensor]:
            return [ours[f"{stack}.layers.{i}.{name}"] for i in layers]

        def heads(rows: Tensor) -> Tensor:  # (heads * d, width) to (heads, width, d)
            return torch.stack([head.T for head in rows.split(g.head_dim)])

        q, k, v, o = (each(f"self_attn.{x}_proj.weight") for x in "qkvo")
        kv = [torch.stack([heads(a), heads(b)]) for a, b in zip(k, v, strict=True)]
        vec = [heads(t.T).transpose(1, 2) for t in o]  # (heads, d, width)
        gate, up = each("mlp.gate_proj.weight"), each("mlp.up_proj.weight")
        tree[f"{llm}layers/attn/q_einsum{mark}/w"] = torch.stack([heads(t) for t in q])
        tree[f"{llm}layers/attn/kv_einsum{mark}/w"] = torch.stack(kv)
        tree[f"{llm}layers/attn/attn_vec_einsum{mark}/w"] = torch.stack(vec)
        tree[f"{llm}layers/mlp{mark}/gating_einsum"] = torch.stack(
            [torch.stack([a.T, b.T]) for a, b in zip(gate, up, strict=True)]
        )
        tree[f"{llm}layers/mlp{mark}/linear"] = torch.stack(
            [t.T for t in each("mlp.down_proj.weight")]
        )
        norms = ((f"layers/pre_attention_norm{mark}", "input_layernorm"),)
        norms += ((f"layers/pre_ffw_norm{mark}", "post_attention_layernorm"),)
        adaptive = config.pi05 and stack == "expert"
        for path, name in norms:
            if adaptive:
                kernels = [t.T for t in each(name + ".dense.weight")]
                tree[f"{llm}{path}/Dense_0/kernel"] = torch.stack(kernels)
                tree[f"{llm}{path}/Dense_0/bias"] = torch.stack(each(name + ".dense.bias"))
            else:
                tree[f"{llm}{path}/scale"] = torch.stack(each(name + ".weight"))
        if adaptive:
            tree[f"{llm}final_norm_1/Dense_0/kernel"] = ours["expert.norm.dense.weight"].T
            tree[f"{llm}final_norm_1/Dense_0/bias"] = ours["expert.norm.dense.bias"]
        else:
            tree[f"{llm}final_norm{mark}/scale"] = ours[f"{stack}.norm.weight"]
    for name, tensor in ours.items():
        if name.partition(".")[0].endswith(("_proj", "_in", "_out")):
            stem, _, kind = name.partition(".")
            leaf = "kernel" if kind == "weight" else "bias"
            tree[f"params/{stem}/{leaf}"] = tensor.T if kind == "weight" else tensor
    return {path: tensor.contiguous() for path, tensor in tree.items()}


def _vision_tree(ours: Mapping[str, Tensor], config: Pi0Config) -> dict[str, Tensor]:
    v, img = config.vision, "params/PaliGemma/img/"
    block, attention = img + "Transformer/encoderblock/", "MultiHeadDotProductAttention_0/"

    def each(name: str) -> list[Tensor]:
        return [ours[f"vision.layers.{i}.{name}"] for i in range(v.depth)]

    tree = {
        img + "embedding/kernel": ours["vision.patch_embedding.weight"].permute(2, 3, 1, 0),
        img + "embedding/bias": ours["vision.patch_embedding.bias"],
        img + "pos_embedding": ours["vision.position_embedding.weight"][None],
        img + "Transformer/encoder_norm/scale": ours["vision.post_layernorm.weight"],
        img + "Transformer/encoder_norm/bias": ours["vision.post_layernorm.bias"],
        img + "head/kernel": ours["vision.projector.weight"].T,
        img + "head/bias": ours["vision.projector.bias"],
    }
    for i in (0, 1):
        for leaf, kind in (("scale", "weight"), ("bias", "bias")):
            tree[f"{block}LayerNorm_{i}/{leaf}"] = torch.stack(each(f"layer_norm{i + 1}.{kind}"))
        dense = f"{block}MlpBlock_0/Dense_{i}/"
        tree[dense + "kernel"] = torch.stack([t.T for t in each(f"mlp.fc{i + 1}.weight")])
        tree[dense + "bias"] = torch.stack(each(f"mlp.fc{i + 1}.bias"))
    for name in ("query", "key", "value"):
        path, ours_name = block + attention + name, f"self_attn.{name[0]}_proj"
        kernels = [t.T.unflatten(1, (v.heads, -1)) for t in each(ours_name + ".weight")]
        tree[path + "/kernel"] = torch.stack(kernels)
        tree[path + "/bias"] = torch.stack(
            [t.unflatten(0, (v.heads, -1)) for t in each(ours_name + ".bias")]
        )
    out = [t.T.unflatten(0, (v.heads, -1)) for t in each("self_attn.out_proj.weight")]
    tree[block + attention + "out/kernel"] = torch.stack(out)
    tree[block + attention + "out/bias"] = torch.stack(each("self_attn.out_proj.bias"))
    return tree


def other_heads(config: Pi0Config) -> Pi0Config:
    """Two vision heads instead of one; the tensors' shapes stay."""
    return replace(config, vision=replace(config.vision, heads=2))


def _write_pipeline(folder: Path, name: str, steps: list[dict[str, Any]]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"name": name, "steps": steps}))
