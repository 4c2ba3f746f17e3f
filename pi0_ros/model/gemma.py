"""Gemma stacks that share attention: one for the prefix, one for the suffix.

Each stack keeps its own norms, projections and MLP; in every layer the queries,
keys and values of all streams meet in one attention (:func:`joint_layers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, rms_norm, scaled_dot_product_attention

from pi0_ros.model.config import GemmaConfig

EPS = 1e-6
ROPE_BASE = 10_000.0

#: Rotated keys and values of one layer, each (B, kv_heads, T, head_dim).
KeysValues = tuple[Tensor, Tensor]
#: Cosines and sines of rotary angles, each (B, 1, T, head_dim / 2).
CosSin = tuple[Tensor, Tensor]


class RMSNorm(nn.Module):
    """``x / rms(x) * (1 + weight)``, computed in float32; takes no condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, _condition: Tensor | None) -> tuple[Tensor, None]:
        """Normalised x, and no gate: the residual branch is added unscaled."""
        y = rms_norm(x.float(), x.shape[-1:], eps=EPS) * (1 + self.weight.float())
        return y.to(x.dtype), None


class AdaRMSNorm(nn.Module):
    """RMS norm whose scale, shift and gate are linear in a condition (π0.5)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised x (B, T, W) and the gate (B, 1, W) of the branch it feeds."""
        scale, shift, gate = self.dense(condition).unsqueeze(1).float().chunk(3, dim=-1)
        y = rms_norm(x.float(), x.shape[-1:], eps=EPS) * (1 + scale) + shift
        return y.to(x.dtype), gate.to(x.dtype)


def rotary(positions: Tensor, head_dim: int) -> CosSin:
    """Cosines and sines of the rotary angles of positions (B, T), in float32."""
    index = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    # The reference rounds this reciprocal: at position 800 the last bit of a frequency is
    # 5e-5 rad.
    frequency = 1.0 / ROPE_BASE ** (index / head_dim)
    angles = positions[:, None, :, None].float() * frequency
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos_sin: CosSin) -> Tensor:
    """Rotates (B, heads, T, head_dim), pairing element i with i + head_dim / 2."""
    cos, sin = cos_sin
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor) -> Tensor:
    """Attention of q (B, heads, Q, d) over k, v (B, kv_heads, K, d); visible (B, Q, K) bool.

    In float32 on the CPU, the operations follow openpi's order: with the same matrix library,
    its recorded losses are reproduced to the last bit.
    """
    batch, heads, _, _ = q.shape
    groups = heads // k.shape[1]
    # For one kv head, expand + reshape is a view: nothing is copied per query head.
    k, v = (
        t.unsqueeze(2).expand(-1, -1, groups, -1, -1).reshape(batch, heads, *t.shape[2:])
        for t in (k, v)
    )
    if q.device.type != "cpu" or q.dtype != torch.float32:
        return scaled_dot_product_attention(q, k, v, attn_mask=visible.unsqueeze(1))
    scores = (q @ k.transpose(2, 3)).mul_(q.shape[-1] ** -0.5)
    scores.masked_fill_(~visible.unsqueeze(1), torch.finfo(scores.dtype).min)
    attended: Tensor = scores.softmax(-1) @ v
    return attended


class Attention(nn.Module):
    """Projections of one stack into and out of the shared attention; no biases."""

    def __init__(self, config: GemmaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.width, queries, bias=False)
        self.k_proj = nn.Linear(config.width, keys, bias=False)
        self.v_proj = nn.Linear(config.width, keys, bias=False)
        self.o_proj = nn.Linear(queries, config.width, bias=False)

    def forward(self, x: Tensor, cos_sin: CosSin) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries, rotated keys and values of x (B, T, W): each (B, heads, T, head_dim)."""
        q, k, v = (
            proj(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        return rotate(q, cos_sin), rotate(k, cos_sin), v

    def output(self, attended: Tensor) -> Tensor:
        """Attended values (B, heads, T, head_dim) back to the stack's width (B, T, W)."""
        out: Tensor = self.o_proj(attended.transpose(1, 2).flatten(2))
        return out


class GatedMlp(nn.Module):
    """``down(gelu(gate(x)) * up(x))`` with the tanh approximation; no biases."""

    def __init__(self, config: GemmaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.mlp, bias=False)
        self.up_proj = nn.Linear(config.width, config.mlp, bias=False)
        self.down_proj = nn.Linear(config.mlp, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = gelu(self.gate_proj(x), approximate="tanh")
        out: Tensor = self.down_proj(gate * self.up_proj(x))
        return out


class GemmaLayer(nn.Module):
    """One stack's part of a layer: the operations before and after the shared attention."""

    def __init__(self, config: GemmaConfig, *, adaptive: bool) -> None:
        super().__init__()
        norm = AdaRMSNorm if adaptive else RMSNorm
        self.input_layernorm = norm(config.width)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = norm(config.width)
        self.mlp = GatedMlp(config)

    def project(
        self, x: Tensor, condition: Tensor | None, cos_sin: CosSin
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor | None]:
        """Queries, keys and values of x (B, T, W), and the gate of the attention branch."""
        normed, gate = self.input_layernorm(x, condition)
        return self.self_attn(normed, cos_sin), gate

    def finish(
        self, x: Tensor, attended: Tensor, gate: Tensor | None, condition: Tensor | None
    ) -> Tensor:
        """Adds the attention branch and the MLP branch to the residual stream x."""
        x = _residual(x, self.self_attn.output(attended), gate)
        normed, gate = self.post_attention_layernorm(x, condition)
        return _residual(x, self.mlp(normed), gate)


class Gemma(nn.Module):
    """A stack of layers and a final norm; ``adaptive`` norms take a condition."""

    def __init__(self, config: GemmaConfig, *, adaptive: bool = False) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.layers = nn.ModuleList(
            GemmaLayer(config, adaptive=adaptive) for _ in range(config.depth)
        )
        self.norm = (AdaRMSNorm if adaptive else RMSNorm)(config.width)

    @property
    def blocks(self) -> tuple[GemmaLayer, ...]:
        """The layers, typed."""
        return tuple(cast("GemmaLayer", layer) for layer in self.layers)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the residual stream and the matrix products."""
        return self.blocks[0].self_attn.q_proj.weight.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """Tokens x (B, T, W) on their way through ``stack``; condition (B, W) or None."""

    stack: Gemma
    x: Tensor
    condition: Tensor | None = None


def joint_layers(
    streams: Sequence[TokenStream],
    positions: Tensor,
    visible: Tensor,
    past: Sequence[KeysValues] | None = None,
) -> tuple[list[Tensor], list[KeysValues]]:
    """Runs the streams, concatenated in order, through all layers.

    The N tokens of all streams have positions (B, N) and see the keys that
    visible (B, Q=N, K) allows: those of ``past`` first, if given, then their own.
    Every query must see at least one key. Returns each stream's hidden states
    before its final norm, and this call's own keys and values per layer;
    ``past`` is not modified.
    """
    cos_sin = rotary(positions, streams[0].stack.head_dim)
    lengths = [stream.x.shape[1] for stream in streams]
    spans = list(zip(*(torch.split(t, lengths, dim=2) for t in cos_sin), strict=True))
    hidden = [stream.x for stream in streams]
    conditions = [stream.condition for stream in streams]
    computed: list[KeysValues] = []
    for depth, layers in enumerate(zip(*(s.stack.blocks for s in streams), strict=True)):
        projected = [
            layer.project(x, condition, span)
            for layer, x, condition, span in zip(layers, hidden, conditions, spans, strict=True)
        ]
        q, k, v = (torch.cat(t, dim=2) for t in zip(*(qkv for qkv, _ in projected), strict=True))
        computed.append((k, v))
        if past is not None:
            k, v = (torch.cat(pair, dim=2) for pair in zip(past[depth], (k, v), strict=True))
        attended = torch.split(attend(q, k, v, visible), lengths, dim=2)
        hidden = [
            layer.finish(x, out, gate, condition)
            for layer, x, out, (_, gate), condition in zip(
                layers, hidden, attended, projected, conditions, strict=True
            )
        ]
    return hidden, computed


def _residual(x: Tensor, branch: Tensor, gate: Tensor | None) -> Tensor:
    return x + branch if gate is None else x + gate * branch
