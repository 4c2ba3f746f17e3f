"""Keys and values of an observation, with room for those of the suffix."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pi0_ros.model.inference.graphs import Recording
from pi0_ros.model.inference.packing import Angles, PackedLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Keys and values of every layer, those of the suffix to be written by each step.

    ``rooms`` (B, P' + S, 2, kv_heads, head_dim): keys, then values; ``bias``
    (B, 1, 1, P' + S) hides padding, None without any; ``angles`` of the suffix.
    """

    rooms: tuple[Tensor, ...]
    bias: Tensor | None
    angles: Angles


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What :meth:`Sampler.prefill` keeps of an observation. ``recording`` if it is replayed."""

    memory: Memory
    batch: int
    recording: Recording | None = None
    replay: int = 0


def open_room(layer: PackedLayer, x: Tensor, tokens: int) -> Tensor:
    """Uninitialised room of a layer for the tokens of x (B, T, W) and more behind them."""
    return x.new_empty(len(x), x.shape[1] + tokens, 2, layer.kv_heads, layer.head_dim)
