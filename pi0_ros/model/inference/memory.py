"""Keys and values of an observation, with room for those of the suffix."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pi0_ros.model.gemma import KeysValues
from pi0_ros.model.inference.graphs import Recording
from pi0_ros.model.inference.packing import Angles


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Keys and values (B, kv_heads, P' + S, head_dim) per layer, the suffix's to be written.

    ``bias`` (B, 1, 1, P' + S) hides padding, None without any; ``angles`` of the suffix.
    """

    keys_values: tuple[KeysValues, ...]
    bias: Tensor | None
    angles: Angles


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What :meth:`Sampler.prefill` keeps of an observation. ``recording`` if it is replayed."""

    memory: Memory
    batch: int
    recording: Recording | None = None
    replay: int = 0


def with_room(keys_values: KeysValues, tokens: int) -> KeysValues:
    """The same with uninitialised room for more tokens behind."""
    k, v = keys_values
    shape = (*k.shape[:2], k.shape[2] + tokens, k.shape[3])
    roomy = k.new_empty(shape), v.new_empty(shape)
    for room, t in zip(roomy, keys_values, strict=True):
        room[:, :, : t.shape[2]] = t
    return roomy


def joined(room: Tensor, start: int, new: Tensor) -> Tensor:
    """The first ``start`` tokens of ``room`` (B, heads, T, d) and ``new`` ones behind them.

    They are written into the room, or copied out of it where a backward pass will read them:
    the next step would otherwise write over what it needs.
    """
    if torch.is_grad_enabled():
        return torch.cat((room[:, :, :start], new), dim=2)
    end = start + new.shape[2]
    room[:, :, start:end] = new
    return room[:, :, :end]
