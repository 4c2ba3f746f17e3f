"""Weights of π0-small: random ones, and those of published encoders."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pi0_ros.model.empty_weights import init_empty_weights
from pi0_ros.model.initialise import lecun_normal_
from pi0_ros.model.small import Pi0Small
from pi0_ros.model.small_config import Pi0SmallConfig

#: Standard deviation of position embeddings and class tokens, as in ViT.
POSITION_STD = 0.02


def random_pi0_small(config: Pi0SmallConfig, seed: int = 0) -> Pi0Small:
    """A float32 network on the CPU whose weights depend on config and seed alone.

    Matrices are LeCun normal (truncated, variance 1 / fan-in), biases zero, norms the
    identity. The expert's modulations and the output are zero (AdaLN-Zero), so every
    block of the expert starts as the identity and the velocity as zero.
    """
    with init_empty_weights():
        model = Pi0Small(config)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                _initialise(module, name, parameter, generator)
        for linear in (model.expert.final_modulation, model.action_out_proj):
            linear.weight.zero_()
        for block in model.expert.blocks:
            block.modulation.weight.zero_()
    return model


def _initialise(
    module: nn.Module, name: str, parameter: Tensor, generator: torch.Generator
) -> None:
    if name.endswith("bias"):
        parameter.zero_()
    elif isinstance(module, nn.LayerNorm | nn.GroupNorm):
        parameter.fill_(1.0)
    elif isinstance(module, nn.Embedding) or not name.endswith("weight"):
        nn.init.normal_(parameter, std=POSITION_STD, generator=generator)
    else:
        lecun_normal_(parameter, generator)


#: Public names, as patterns, and ours; q, k and v of DistilBERT become one matrix.
_DISTILBERT = (
    (r"embeddings\.word_embeddings\.weight", "word_embedding.weight"),
    (r"embeddings\.position_embeddings\.weight", "position_embedding.weight"),
    (r"embeddings\.LayerNorm\.(.+)", r"norm.\1"),
    (
        r"transformer\.layer\.(\d+)\.attention\.out_lin\.(.+)",
        r"blocks.layers.\1.self_attn.out_proj.\2",
    ),
    (r"transformer\.layer\.(\d+)\.sa_layer_norm\.(.+)", r"blocks.layers.\1.norm1.\2"),
    (r"transformer\.layer\.(\d+)\.ffn\.lin([12])\.(.+)", r"blocks.layers.\1.linear\2.\3"),
    (r"transformer\.layer\.(\d+)\.output_layer_norm\.(.+)", r"blocks.layers.\1.norm2.\2"),
)
_HYBRID = (
    (r"cls_token", "class_token"),
    (r"pos_embed", "position_embedding"),
    (r"patch_embed\.backbone\.(.+)", r"resnet.\1"),
    (r"patch_embed\.proj\.(.+)", r"patch_projection.\1"),
    (r"blocks\.(\d+)\.attn\.qkv\.(.+)", r"vit.layers.\1.self_attn.in_proj_\2"),
    (r"blocks\.(\d+)\.attn\.proj\.(.+)", r"vit.layers.\1.self_attn.out_proj.\2"),
    (r"blocks\.(\d+)\.mlp\.fc([12])\.(.+)", r"vit.layers.\1.linear\2.\3"),
    (r"blocks\.(\d+)\.(norm[12])\.(.+)", r"vit.layers.\1.\2.\3"),
    (r"norm\.(.+)", r"vit.norm.\1"),
)
_HEADS = re.compile(r"(vocab_|pre_classifier|classifier|qa_outputs|head|fc_norm)[\w.]*")


def distilbert_weights(public: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of :class:`TextEncoder` from the tensors of a public DistilBERT.

    Names may have the prefix ``distilbert.``; task heads are left out. Raises ValueError
    listing unknown names.
    """
    named = {name.removeprefix("distilbert."): tensor for name, tensor in public.items()}
    packed: dict[str, Tensor] = {}
    for name in [n for n in named if n.endswith((".q_lin.weight", ".q_lin.bias"))]:
        parts = [name.replace("q_lin", part) for part in ("q_lin", "k_lin", "v_lin")]
        absent = [part for part in parts if part not in named]
        if absent:
            raise ValueError(f"the DistilBERT weights lack {', '.join(absent)}; copy them again")
        layer, kind = name.split(".")[2], name.rsplit(".", 1)[1]
        packed[f"blocks.layers.{layer}.self_attn.in_proj_{kind}"] = torch.cat(
            [named.pop(part) for part in parts]
        )
    return packed | _renamed(named, _DISTILBERT, "DistilBERT")


def hybrid_weights(public: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Part of a :class:`Hybrid`'s state dict from timm's ``vit_small_r26_s32_224`` tensors.

    The public weights have no ``projector``; their classifier is left out. Raises ValueError
    listing unknown names.
    """
    return _renamed(public, _HYBRID, "hybrid")


def _renamed(
    public: Mapping[str, Tensor], table: tuple[tuple[str, str], ...], what: str
) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, tensor in public.items():
        if _HEADS.fullmatch(name):
            continue
        for pattern, ours in table:
            match = re.fullmatch(pattern, name)
            if match:
                renamed[match.expand(ours)] = tensor
                break
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(f"not {what} weights, names unknown here: {', '.join(sorted(unknown))}")
    return renamed
