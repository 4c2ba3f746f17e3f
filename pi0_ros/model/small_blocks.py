"""Text encoder and action expert of π0-small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention, silu

from pi0_ros.model.small_config import Pi0SmallConfig, TextConfig, TransformerConfig

#: Keys and values of one layer, each (B, heads, T, head_dim).
KeysValues = tuple[Tensor, Tensor]


class TextEncoder(nn.Module):
    """DistilBERT (arXiv 1910.01108): word and position embeddings, post-norm blocks."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        blocks = config.blocks
        self.word_embedding = nn.Embedding(config.vocab, blocks.width)
        self.position_embedding = nn.Embedding(config.positions, blocks.width)
        self.norm = nn.LayerNorm(blocks.width, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            blocks.width,
            blocks.heads,
            blocks.mlp,
            dropout=0.0,
            activation="gelu",
            layer_norm_eps=1e-12,
            batch_first=True,
        )
        self.blocks = nn.TransformerEncoder(layer, blocks.depth, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Features (B, L, width) of tokens (B, L); those outside the mask are meaningless."""
        x = self.word_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]
        # An empty prompt attends to its padding, so that no softmax is empty. No token uses it.
        visible = token_mask | ~token_mask.any(dim=1, keepdim=True)
        out: Tensor = self.blocks(self.norm(x), src_key_padding_mask=~visible)
        return out


class Attention(nn.Module):
    """Attention of one sequence to itself or to the keys and values of another."""

    def __init__(self, config: TransformerConfig, key_width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key_value = nn.Linear(key_width, 2 * config.width)
        self.output = nn.Linear(config.width, config.width)

    def keys_values(self, x: Tensor) -> KeysValues:
        """Keys and values of x (B, T, key_width): each (B, heads, T, head_dim)."""
        k, v = (self._split(t) for t in self.key_value(x).chunk(2, dim=-1))
        return k, v

    def forward(self, x: Tensor, keys_values: KeysValues, visible: Tensor | None = None) -> Tensor:
        """x (B, Q, width) to the same shape; visible (B, T) marks the valid keys."""
        mask = None if visible is None else visible[:, None, None, :]
        attended = scaled_dot_product_attention(
            self._split(self.query(x)), *keys_values, attn_mask=mask
        )
        out: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class DitBlock(nn.Module):
    """Self-attention, cross-attention and MLP, each scaled, shifted and gated by the time.

    AdaLN-Zero (DiT, arXiv 2212.09748, section 3.2), extended to the cross-attention: the
    modulation starts at zero, so every gate is closed and the block is the identity.
    """

    def __init__(self, config: TransformerConfig, memory_width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(config.width, 9 * config.width)
        self.self_attention = Attention(config, config.width)
        self.cross_attention = Attention(config, memory_width)
        self.mlp_in = nn.Linear(config.width, config.mlp)
        self.mlp_out = nn.Linear(config.mlp, config.width)

    def forward(self, x: Tensor, modulation: Tensor, memory: KeysValues, visible: Tensor) -> Tensor:
        """x (B, H, width) to the same shape; modulation (B or 1, 9 * width)."""
        shift, scale, gate = (m.unsqueeze(1).chunk(3, dim=-1) for m in modulation.chunk(3, dim=-1))
        y = modulated(x, shift[0], scale[0])
        x = x + gate[0] * self.self_attention(y, self.self_attention.keys_values(y))
        y = modulated(x, shift[1], scale[1])
        x = x + gate[1] * self.cross_attention(y, memory, visible)
        y = modulated(x, shift[2], scale[2])
        out: Tensor = x + gate[2] * self.mlp_out(gelu(self.mlp_in(y), approximate="tanh"))
        return out


class Dit(nn.Module):
    """The action expert's stack; it computes keys and values of its memory once."""

    def __init__(self, config: Pi0SmallConfig) -> None:
        super().__init__()
        expert = config.expert
        self.layers = nn.ModuleList(
            DitBlock(expert, config.encoder.width) for _ in range(expert.depth)
        )
        self.final_modulation = nn.Linear(expert.width, 2 * expert.width)

    @property
    def blocks(self) -> tuple[DitBlock, ...]:
        """The layers, typed."""
        return tuple(cast("DitBlock", layer) for layer in self.layers)

    def keys_values(self, memory: Tensor) -> tuple[KeysValues, ...]:
        """Each layer's keys and values of memory (B, M, encoder width), for cross-attention."""
        return tuple(block.cross_attention.keys_values(memory) for block in self.blocks)

    def modulations(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Per layer (N, 9 * width), and last the output's (N, 2 * width), of N times."""
        active = silu(condition)
        linears = [block.modulation for block in self.blocks]
        return tuple(linear(active) for linear in (*linears, self.final_modulation))

    def forward(
        self,
        x: Tensor,
        modulations: Sequence[Tensor],
        memory: Sequence[KeysValues],
        visible: Tensor,
    ) -> Tensor:
        """Hidden states (B, H, width), normed, of action tokens x."""
        for block, modulation, keys_values in zip(
            self.blocks, modulations[:-1], memory, strict=True
        ):
            x = block(x, modulation, keys_values, visible)
        shift, scale = modulations[-1].unsqueeze(1).chunk(2, dim=-1)
        return modulated(x, shift, scale)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """``layer_norm(x) * (1 + scale) + shift``; the norm has no weights of its own."""
    return torch.addcmul(shift, layer_norm(x, x.shape[-1:], eps=1e-6), 1 + scale)
