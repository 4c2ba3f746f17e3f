"""Keys and values of an observation, with space for those of the suffix."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pi0_ros.model.inference.graphs import CapturedGraph
from pi0_ros.model.inference.packing import Angles, PackedLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class KVCache:
    """Keys and values of every layer, those of the suffix to be written by each step.

    ``layers`` (B, P' + S, 2, kv_heads, head_dim): keys, then values; ``bias``
    (B, 1, 1, P' + S) hides padding, None without any; ``angles`` of the suffix.
    """

    layers: tuple[Tensor, ...]
    bias: Tensor | None
    angles: Angles


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Result of :meth:`Sampler.prefill`; ``graph`` if a captured graph computes it."""

    cache: KVCache
    batch: int
    graph: CapturedGraph | None = None
    replay: int = 0


def allocate_layer(layer: PackedLayer, x: Tensor, tokens: int) -> Tensor:
    """Uninitialised cache of a layer for the tokens of x (B, T, W) and ``tokens`` more."""
    return x.new_empty(len(x), x.shape[1] + tokens, 2, layer.kv_heads, layer.head_dim)
