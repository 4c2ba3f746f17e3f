"""Packed weights: one matrix product does the work of two or three.

Packing is done in place, a layer at a time: the parameters of the network become
views into the packed tensors. Names, values and ``state_dict`` stay as they are,
nothing is held twice, and copying into the parameters fills the packed tensors. It
saves kernel launches on a GPU. A CPU gains little, and packing would copy weights that
are mapped from a file into memory, so weights are not packed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from pi0_ros.model.gemma import Gemma, GemmaLayer, RMSNorm, rotary
from pi0_ros.model.inference.arithmetic import PLAIN, Arithmetic, gelu_tanh, rotate_and_stack
from pi0_ros.model.siglip import SigLip, VisionBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Modulation:
    """A norm by ``scale``, 1 + weight in float32; in π0.5 also with a shift and a branch gate."""

    scale: Tensor
    shift: Tensor | None = None
    gate: Tensor | None = None
    arithmetic: Arithmetic = PLAIN

    def __call__(self, x: Tensor) -> Tensor:
        return self.arithmetic.normalise(x, self.scale, self.shift)

    def add_and_normalise(self, x: Tensor, branch: Tensor, to: Modulation) -> tuple[Tensor, Tensor]:
        """The residual stream x with the branch that this norm feeds, and the same normed."""
        return self.arithmetic.add_and_normalise(x, branch, self.gate, to.scale, to.shift)


_HALF = (torch.bfloat16, torch.float16)
_FEW_QUERIES = 128
#: Cosines and sines of rotary angles, each (B, T, 1, head_dim / 2).
Angles = tuple[Tensor, Tensor]
#: Norms before attention and before the MLP.
LayerNorms = tuple[Modulation, Modulation]


class Linears:
    """Linears with a common input, evaluated together: as one product if they are packed."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor] | None = None) -> None:
        self.weights = tuple(weights)
        self._biases = tuple(biases) if biases is not None else (None,) * len(weights)

    @classmethod
    def of(cls, *linears: nn.Linear, packed: bool) -> Linears:
        """Their present parameters; packing turns these into views of one tensor."""
        weights = [module.weight for module in linears]
        biases = [module.bias for module in linears if module.bias is not None]
        if packed:
            return cls([_pack(weights)], [_pack(biases)] if biases else None)
        return cls([w.detach() for w in weights], [b.detach() for b in biases] or None)

    def joined(self, x: Tensor) -> Tensor:
        """Their outputs, concatenated: (..., sum of outputs)."""
        outputs = [linear(x, w, b) for w, b in zip(self.weights, self._biases, strict=True)]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)

    def halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of two linears of the same size, without bias."""
        if len(self.weights) == 1:
            first, second = linear(x, self.weights[0]).chunk(2, dim=-1)
        else:
            first, second = (linear(x, weight) for weight in self.weights)
        return first, second


def _pack(parameters: Sequence[Tensor]) -> Tensor:
    packed = torch.cat([parameter.detach() for parameter in parameters])
    pieces = torch.split(packed, [len(parameter) for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.data = piece
    return packed


class PackedLayer:
    """One Gemma layer of one stack; its norms are passed in."""

    def __init__(self, layer: GemmaLayer, arithmetic: Arithmetic, *, packed: bool) -> None:
        self._arithmetic = arithmetic
        attention, mlp = layer.self_attn, layer.mlp
        self.head_dim = attention.head_dim
        self.heads = attention.q_proj.out_features // self.head_dim
        self.kv_heads = attention.k_proj.out_features // self.head_dim
        self.qkv = Linears.of(attention.q_proj, attention.k_proj, attention.v_proj, packed=packed)
        self.kv = Linears.of(attention.k_proj, attention.v_proj, packed=False)
        self.output = attention.o_proj.weight.detach()
        self.gate_up = Linears.of(mlp.gate_proj, mlp.up_proj, packed=packed)
        self.down = mlp.down_proj.weight.detach()

    def store_keys_values(self, x: Tensor, angles: Angles, cache: Tensor) -> None:
        """Writes rotated keys and values of normed x (B, T, W) to the start of its cache."""
        heads = _unflatten(self.kv.joined(x), 2, self.kv_heads, self.head_dim)
        cache[:, : x.shape[1], 0] = self._arithmetic.rotate_heads(heads[:, :, 0], *angles)
        cache[:, : x.shape[1], 1] = heads[:, :, 1]

    def project_and_cache(
        self, x: Tensor, angles: Angles, cache: Tensor, *, start: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries (B, T, heads, head_dim) of normed x (B, T, W), and what they see.

        They are keys and values (B, kv_heads, start + T, head_dim): the first ``start`` tokens of
        ``cache`` (B, more, 2, kv_heads, head_dim), then those of x, which are written into it.
        With gradients they are joined to a copy of the first tokens instead, because the next
        step would overwrite what the backward pass reads.
        """
        number, end = self.heads + 2 * self.kv_heads, start + x.shape[1]
        heads = _unflatten(self.qkv.joined(x), number, self.head_dim)
        if torch.is_grad_enabled():
            q, own = rotate_and_stack(heads, *angles, self.kv_heads)
            seen = torch.cat((cache[:, :start], own), dim=1)
        else:
            q = self._arithmetic.rotate_and_store(heads, *angles, cache[:, start:end])
            seen = cache[:, :end]
        k, v = seen.transpose(1, 3).unbind(2)
        return q, k, v

    def finish(
        self, x: Tensor, attended: Tensor, norms: LayerNorms, *, following: Modulation
    ) -> tuple[Tensor, Tensor]:
        """Residual stream after attention (its output, (B, T, heads * head_dim)) and MLP.

        Returned as it is and normalised by ``following``.
        """
        before_attention, before_mlp = norms
        branch = linear(attended, self.output)
        x, normed = before_attention.add_and_normalise(x, branch, to=before_mlp)
        branch = linear(self._arithmetic.gated(*self.gate_up.halves(normed)), self.down)
        return before_mlp.add_and_normalise(x, branch, to=following)


def attend_all(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attention (B, T, heads * head_dim) in which all queries see the same keys.

    q (B, T, heads, d), k and v (B, kv_heads, K, d); bias (B, 1, 1, K) is added to the
    logits, None where every key is valid. The query heads of one key head are rows of one
    product: keys are neither repeated nor, with one key head, queries moved.
    """
    batch, length, heads, dim = q.shape
    kv_heads = k.shape[1]
    group = heads // kv_heads
    if bias is None and kv_heads == 1 and length <= _FEW_QUERIES and q.dtype in _HALF and q.is_cuda:
        return _attend_few(q, k, v)
    rows = q.view(batch, length, kv_heads, group, dim).transpose(1, 2).flatten(2, 3)
    out: Tensor = scaled_dot_product_attention(rows, k, v, attn_mask=bias)
    by_token = out.view(batch, kv_heads, length, group, dim).transpose(1, 2)
    return by_token.reshape(batch, length, heads * dim)


def _attend_few(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same on a GPU for one key head and few queries, by the kernel that splits the keys.

    Torch would choose one that leaves most of the GPU idle. It is called by name, because
    ``sdpa_kernel`` would change the choice of all threads.
    """
    heads = q.shape[2]
    k, v = (t.expand(-1, heads, -1, -1) for t in (k, v))
    out = torch.ops.aten._scaled_dot_product_flash_attention(q.transpose(1, 2), k, v)[0]
    attended: Tensor = out.transpose(1, 2).flatten(2)
    return attended


def rotary_angles(positions: Tensor, head_dim: int) -> Angles:
    """Rotary angles of positions (B, T), for tensors (B, T, heads, head_dim)."""
    cos, sin = rotary(positions, head_dim)
    return cos.transpose(1, 2), sin.transpose(1, 2)


class PackedStack:
    """A Gemma stack's layers; ``norms`` is None for an adaptive one (π0.5's expert)."""

    def __init__(self, stack: Gemma, *, packed: bool, arithmetic: Arithmetic = PLAIN) -> None:
        self.layers = tuple(PackedLayer(b, arithmetic, packed=packed) for b in stack.blocks)
        self.arithmetic = arithmetic
        self.dtype = stack.dtype
        self._sources = [
            (layer.input_layernorm, layer.post_attention_layernorm) for layer in stack.blocks
        ]
        self._final_source = stack.norm
        plain = isinstance(stack.norm, RMSNorm)
        self.norms = [(self._norm(a), self._norm(b)) for a, b in self._sources] if plain else None
        self.final = self._norm(stack.norm) if plain else None

    def refresh(self) -> None:
        """Reads the norms' weights again, into the same memory."""
        if self.norms is None or self.final is None:
            return
        for pair, sources in zip(self.norms, self._sources, strict=True):
            for norm, source in zip(pair, sources, strict=True):
                norm.scale.copy_(_scale(source))
        self.final.scale.copy_(_scale(self._final_source))

    def _norm(self, source: nn.Module) -> Modulation:
        return Modulation(scale=_scale(source), arithmetic=self.arithmetic)


def _scale(norm: nn.Module) -> Tensor:
    return 1 + norm.get_parameter("weight").detach().float()


def _unflatten(x: Tensor, *sizes: int) -> Tensor:
    """x (..., N) with its last dimension cut into ``sizes``."""
    return x.view(*x.shape[:-1], *sizes)


class PackedVision(nn.Module):
    """SigLIP with packed projections. A module, so that a caller's hooks can time it."""

    def __init__(self, tower: SigLip, *, packed: bool) -> None:
        super().__init__()
        self.tower = tower
        self._blocks = [cast("VisionBlock", block) for block in tower.layers]
        attentions = [block.self_attn for block in self._blocks]
        self._qkv = [Linears.of(a.q_proj, a.k_proj, a.v_proj, packed=packed) for a in attentions]

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size) in [-1, 1] to tokens (N, T, backbone width)."""
        x = self.tower.embed_patches(images)
        for block, qkv in zip(self._blocks, self._qkv, strict=True):
            heads = _unflatten(qkv.joined(block.layer_norm1(x)), 3, block.self_attn.heads, -1)
            q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
            attended = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = x + block.self_attn.out_proj(attended)
            x = x + block.mlp.fc2(gelu_tanh(block.mlp.fc1(block.layer_norm2(x))))
        out: Tensor = self.tower.projector(self.tower.post_layernorm(x))
        return out
