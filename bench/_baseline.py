"""A plain implementation of sampling π0 or π0.5, as a baseline without optimisations.

Every camera slot passes through the vision tower separately, also absent ones; the prompt
keeps its padding; attention is written out (product, mask, softmax, product) with keys
repeated per head; every step embeds the whole suffix and runs all of it. Only the
prefix's keys and values are kept, as public implementations do.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from pi0_ros.model import Inputs, Pi0
from pi0_ros.model.gemma import EPS, ROPE_BASE

_HIDDEN = -2.3819763e38


@torch.no_grad()
def sample_padded(model: Pi0, inputs: Inputs, noise: Tensor, times: tuple[float, ...]) -> Tensor:
    """Actions (B, H, D)."""
    seen = [encode_image(model, inputs.images[:, view]) for view in range(inputs.images.shape[1])]
    text = model.embed_tokens(inputs.tokens) * math.sqrt(model.config.backbone.width)
    x = torch.cat((*seen, text.to(seen[0].dtype)), dim=1)
    shown = inputs.image_mask.repeat_interleave(model.config.vision.tokens, dim=1)
    valid = torch.cat((shown, inputs.token_mask), dim=1)
    positions = valid.long().cumsum(1) - 1
    _, cache = run(
        model.backbone, x, positions, additive(valid[:, None, :] & valid[:, :, None], x), None, None
    )
    out = noise
    for t, t_next in pairwise(times):
        out = out + (t_next - t) * velocity(model, cache, valid, inputs.state, out, t)
    return out


def encode_image(model: Pi0, image: Tensor) -> Tensor:
    """One camera (B, 3, size, size) through the vision tower."""
    tower = model.vision
    x = tower.patch_embedding(image).flatten(2).transpose(1, 2) + tower.position_embedding.weight
    x = x.to(tower.projector.weight.dtype)
    for block in tower.layers:
        attention, normed = block.self_attn, block.layer_norm1(x)
        q, k, v = (
            proj(normed).unflatten(-1, (attention.heads, -1)).transpose(1, 2)
            for proj in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        attended = attend(q, k, v, None).transpose(1, 2).flatten(2)
        x = x + attention.out_proj(attended)
        hidden = gelu(block.mlp.fc1(block.layer_norm2(x)), approximate="tanh")
        x = x + block.mlp.fc2(hidden)
    return tower.projector(tower.post_layernorm(x))


def velocity(
    model: Pi0,
    cache: list[tuple[Tensor, Tensor]],
    valid: Tensor,
    state: Tensor,
    actions: Tensor,
    t: float,
) -> Tensor:
    """Velocity (B, H, D) with the whole suffix embedded and run again."""
    x, condition = model.embed_suffix(state, actions, actions.new_full(actions.shape[:1], t))
    batch, suffix, _ = x.shape
    starts = [1, 0] if model.config.pi05 else [1, 1]
    block = torch.tensor((starts + [0] * suffix)[:suffix], device=x.device).cumsum(0)
    inside = (block[None, :] <= block[:, None]).expand(batch, -1, -1)
    visible = torch.cat((valid[:, None, :].expand(-1, suffix, -1), inside), dim=2)
    positions = valid.sum(1, keepdim=True) + torch.arange(suffix, device=x.device)
    x = x.to(model.expert.dtype)
    x, _ = run(model.expert, x, positions, additive(visible, x), cache, condition)
    x, _ = normalise(model.expert.norm, x[:, -model.config.action_horizon :], condition)
    return model.action_out_proj(x.to(model.action_out_proj.weight.dtype))


def run(
    stack: nn.Module,
    x: Tensor,
    positions: Tensor,
    mask: Tensor,
    cache: list[tuple[Tensor, Tensor]] | None,
    condition: Tensor | None,
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """All layers of one stack over x (B, T, W), with the keys of ``cache`` in front."""
    kept = []
    for depth, layer in enumerate(stack.layers):
        attention, mlp = layer.self_attn, layer.mlp
        normed, gate = normalise(layer.input_layernorm, x, condition)
        q, k, v = (
            proj(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            for proj in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        q, k = rotate(q, positions), rotate(k, positions)
        if cache is not None:
            k, v = torch.cat((cache[depth][0], k), dim=2), torch.cat((cache[depth][1], v), dim=2)
        kept.append((k, v))
        groups = q.shape[1] // k.shape[1]
        repeated = (t.repeat_interleave(groups, dim=1) for t in (k, v))
        attended = attend(q, *repeated, mask).transpose(1, 2).flatten(2)
        x = add(x, attention.o_proj(attended), gate)
        normed, gate = normalise(layer.post_attention_layernorm, x, condition)
        hidden = gelu(mlp.gate_proj(normed), approximate="tanh") * mlp.up_proj(normed)
        x = add(x, mlp.down_proj(hidden), gate)
    return x, kept


def normalise(norm: nn.Module, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """RMS norm, adaptive if there is a condition: the normed x and the branch's gate."""
    y = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + EPS)
    if condition is None:
        return (y * (1 + norm.weight.float())).to(x.dtype), None
    scale, shift, gate = norm.dense(condition)[:, None].chunk(3, dim=-1)
    return (y * (1 + scale) + shift).to(x.dtype), gate.to(x.dtype)


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary embedding of x (B, heads, T, d) at positions (B, T)."""
    index = torch.arange(0, x.shape[-1], 2, device=x.device, dtype=torch.float32)
    angles = positions[:, None, :, None].float() / ROPE_BASE ** (index / x.shape[-1])
    cos, sin = angles.cos().repeat(1, 1, 1, 2), angles.sin().repeat(1, 1, 1, 2)
    a, b = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((-b, a), dim=-1) * sin).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention written out; mask (B, 1, Q, K) is added to the logits."""
    logits = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5
    if mask is not None:
        logits = logits + mask
    return logits.softmax(dim=-1, dtype=torch.float32).to(q.dtype) @ v


def additive(visible: Tensor, x: Tensor) -> Tensor:
    """Boolean (B, Q, K) to a mask for the logits."""
    return torch.where(visible, 0.0, _HIDDEN)[:, None].to(x.dtype)


def add(x: Tensor, branch: Tensor, gate: Tensor | None) -> Tensor:
    """Residual connection, gated or not."""
    return x + branch if gate is None else x + gate * branch
