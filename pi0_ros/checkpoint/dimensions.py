"""The network's dimensions, derived from its tensors.

Shapes determine all but a few numbers. Those come from a configuration if there is one
(:class:`Hints`), else from the values of the public models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.names import is_pi05
from pi0_ros.model import ConfigError, GemmaConfig, Pi0Config, VisionConfig, variant

Shapes = Mapping[str, tuple[int, ...]]

#: Public SigLIP towers and their heads; any other has 64 channels a head.
_VISION_HEADS = {1152: 16, 880: 16, 32: 2}
_CHANNELS_A_HEAD = 64
#: Every public Gemma stack of this family shares one key and value among its queries.
_KV_HEADS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Values of a configuration; None where it has none.

    ``pi05`` and ``action_dim`` also follow from the tensors and must agree with them.
    ``named`` are query heads, key and value heads and head size of the variant that a
    configuration names. openpi never reads that name back, so it is used only where it fits.
    """

    pi05: bool | None = None
    action_dim: int | None = None
    action_horizon: int | None = None
    max_tokens: int | None = None
    vision_heads: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    named: tuple[int, int, int] | None = None
    min_period: float | None = None
    max_period: float | None = None


def derive(shapes: Shapes, hints: Hints, source: object) -> Pi0Config:
    """Dimensions of the network whose tensors, under our names, have ``shapes``.

    Raises :class:`CheckpointError` where the tensors are another architecture's, or
    contradict the hints.
    """
    pi05 = is_pi05(shapes)
    if hints.pi05 is not None and hints.pi05 != pi05:
        said, are = ("π0.5", "π0") if hints.pi05 else ("π0", "π0.5")
        raise CheckpointError(
            f"{source}: the configuration says {said} and the tensors are those of {are}: "
            "use weights and configuration of the same model"
        )
    action_dim = _shape(shapes, "action_in_proj.weight", 2, source)[1]
    if hints.action_dim is not None and hints.action_dim != action_dim:
        raise CheckpointError(
            f"{source}: the configuration says action_dim {hints.action_dim} and "
            f"action_in_proj takes {action_dim}: use weights and configuration of the same model"
        )
    generation = variant("pi05" if pi05 else "pi0")
    try:
        return Pi0Config(
            vision=_vision(shapes, hints, source),
            backbone=_gemma("backbone", shapes, hints, source),
            expert=_gemma("expert", shapes, hints, source),
            vocab=_shape(shapes, "embed_tokens.weight", 2, source)[0],
            action_dim=action_dim,
            action_horizon=hints.action_horizon or generation.action_horizon,
            max_tokens=hints.max_tokens or generation.max_tokens,
            pi05=pi05,
            min_period=hints.min_period or generation.min_period,
            max_period=hints.max_period or generation.max_period,
        )
    except ConfigError as error:
        raise CheckpointError(f"{source}: not a model configuration ({error})") from error


def _vision(shapes: Shapes, hints: Hints, source: object) -> VisionConfig:
    width, _, patch, _ = _shape(shapes, "vision.patch_embedding.weight", 4, source)
    tokens = _shape(shapes, "vision.position_embedding.weight", 2, source)[0]
    heads = hints.vision_heads or _VISION_HEADS.get(width)
    if heads is None:
        if width % _CHANNELS_A_HEAD:
            raise CheckpointError(
                f"{source}: nothing says how many heads a vision tower of width {width} has; "
                "write vision.num_heads into config.json"
            )
        heads = width // _CHANNELS_A_HEAD
    return VisionConfig(
        width=width,
        depth=_depth(shapes, "vision"),
        mlp=_shape(shapes, "vision.layers.0.mlp.fc1.weight", 2, source)[0],
        heads=heads,
        patch=patch,
        image_size=math.isqrt(tokens) * patch,
    )


def _gemma(stack: str, shapes: Shapes, hints: Hints, source: object) -> GemmaConfig:
    layer = f"{stack}.layers.0."
    queries, width = _shape(shapes, layer + "self_attn.q_proj.weight", 2, source)
    keys = _shape(shapes, layer + "self_attn.k_proj.weight", 2, source)[0]
    if hints.head_dim:
        head_dim = hints.head_dim
    elif hints.heads:
        head_dim = queries // hints.heads
    elif hints.named and _fit(hints.named, queries, keys):
        head_dim = hints.named[2]
    else:
        head_dim = keys // (hints.kv_heads or _KV_HEADS)
    heads, kv_heads = queries // max(head_dim, 1), keys // max(head_dim, 1)
    said = (hints.heads or heads, hints.kv_heads or kv_heads)
    if (heads * head_dim, kv_heads * head_dim) != (queries, keys) or said != (heads, kv_heads):
        raise CheckpointError(
            f"{source}: {stack} has {queries} query and {keys} key channels, which is not "
            f"{said[0]} and {said[1]} heads of {head_dim}: use weights and configuration of the "
            "same model"
        )
    return GemmaConfig(
        width=width,
        depth=_depth(shapes, stack),
        mlp=_shape(shapes, layer + "mlp.gate_proj.weight", 2, source)[0],
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
    )


def _fit(named: tuple[int, int, int], queries: int, keys: int) -> bool:
    heads, kv_heads, head_dim = named
    return (heads * head_dim, kv_heads * head_dim) == (queries, keys)


def _depth(shapes: Shapes, stack: str) -> int:
    prefix = f"{stack}.layers."
    numbers = {n.removeprefix(prefix).partition(".")[0] for n in shapes if n.startswith(prefix)}
    return 1 + max((int(n) for n in numbers if n.isdecimal()), default=-1)


def _shape(shapes: Shapes, name: str, rank: int, source: object) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None:
        few = ", ".join(sorted(shapes)[:4]) or "nothing"
        raise CheckpointError(
            f"{source}: not a π0 or π0.5, or not all of it: tensor {name} is missing "
            f"(found {few}, …)"
        )
    if len(shape) != rank or 0 in shape:
        raise CheckpointError(
            f"{source}: {name} has shape {shape}: {rank} dimensions expected; not a π0 or π0.5"
        )
    return shape
