"""The computations of sampling on the device, which a graph may capture.

Shapes as in :mod:`pi0_ros.model.pi0`; P' kept prefix tokens. The prefix's keys and values
are followed by space for the suffix's, which every step overwrites.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from pi0_ros.model.inference.arithmetic import Arithmetic
from pi0_ros.model.inference.kv_cache import KVCache, allocate_layer
from pi0_ros.model.inference.packing import (
    LayerNorms,
    Modulation,
    PackedStack,
    PackedVision,
    attend_all,
    rotary_angles,
)
from pi0_ros.model.inference.padding import PrefixLayout
from pi0_ros.model.inference.schedule import DenoiseStep, Schedule
from pi0_ros.model.pi0 import Pi0


class ForwardPasses:
    """The passes of an observation and of the denoising steps through ``model``.

    ``packed``: its parameters are packed in place; ``hooks``: those on the vision tower run.
    """

    def __init__(self, model: Pi0, *, packed: bool, arithmetic: Arithmetic, hooks: bool) -> None:
        self._model = model
        self.config = model.config
        self.vision = PackedVision(model.vision, packed=packed)
        self._see = self.vision if hooks else self.vision.forward
        self.backbone = PackedStack(model.backbone, packed=packed, arithmetic=arithmetic)
        self.expert = PackedStack(model.expert, packed=packed, arithmetic=arithmetic)

    def refresh(self) -> None:
        """Recomputes the values that are derived from the weights."""
        self.backbone.refresh()
        self.expert.refresh()

    def prefix(
        self,
        layout: PrefixLayout,
        images: Tensor,
        text: Tensor,
        positions: Tensor,
        suffix_positions: Tensor,
        bias: Tensor | None = None,
    ) -> KVCache:
        """Keys and values of the prefix. ``layout`` may matter only through its bucket."""
        x = torch.cat((self._look(layout, images), text), dim=1)
        head_dim, suffix = self.config.backbone.head_dim, self.config.suffix_tokens
        angles = rotary_angles(positions, head_dim)
        hidden = None if bias is None else bias[..., :-suffix]
        norms = self.backbone.norms or []
        layers = tuple(allocate_layer(layer, x, suffix) for layer in self.backbone.layers)
        normed, last = norms[0][0](x), len(norms) - 1
        for depth, (layer, pair) in enumerate(zip(self.backbone.layers, norms, strict=True)):
            if depth == last or not x.shape[1]:
                layer.store_keys_values(normed, angles, layers[depth])
                continue
            q, k, v = layer.project_and_cache(normed, angles, layers[depth], start=0)
            attended = attend_all(q, k, v, hidden)
            x, normed = layer.finish(x, attended, pair, following=norms[depth + 1][0])
        return KVCache(layers=layers, bias=bias, angles=rotary_angles(suffix_positions, head_dim))

    def _look(self, layout: PrefixLayout, images: Tensor) -> Tensor:
        """Tokens (B, V' * T, W) of the views; zeros where only another sample has the view."""
        batch, views = layout.present.shape
        if not len(images):
            return images.new_zeros((batch, 0, self.config.backbone.width)).to(self.backbone.dtype)
        if images.dtype == torch.uint8:
            images = images.float() / 255 * 2 - 1
        seen: Tensor = self._see(images)
        if not layout.present.all():
            spread = seen.new_zeros(batch, views, *seen.shape[1:])
            spread[layout.columns(seen.device)] = seen
            seen = spread
        return seen.reshape(batch, -1, seen.shape[-1])

    def denoise(self, cache: KVCache, schedule: Schedule, state: Tensor, noise: Tensor) -> Tensor:
        """Euler from noise to actions; writes the suffix's keys and values into the cache."""
        self.cache_state_token(cache, state)
        x = noise
        for step in schedule.steps:
            x = x + step.delta * self.velocity(cache, schedule, step, x)
        return x

    def cache_state_token(self, cache: KVCache, state: Tensor) -> None:
        """Stores keys and values of π0's state token, which do not depend on the time."""
        if self.config.pi05:
            return
        x = self._model.state_proj(state)[:, None].to(self.expert.dtype)
        self._suffix_layers(cache, x, self.expert.norms or [], final=None, first=0)

    def velocity(
        self, cache: KVCache, schedule: Schedule, step: DenoiseStep, actions: Tensor
    ) -> Tensor:
        """Velocity (B, H, D) at actions (B, H, D) and the time of ``step``."""
        model = self._model
        if step.time_bias is None or schedule.action_weight is None:
            x = model.action_in_proj(actions)
        else:
            mixed = linear(actions, schedule.action_weight, step.time_bias)
            x = model.action_time_mlp_out(silu(mixed))
        first = self.config.suffix_tokens - self.config.action_horizon
        x = x.to(self.expert.dtype)
        x = self._suffix_layers(cache, x, step.norms, final=step.final, first=first)
        weight = model.action_out_proj.weight
        velocity: Tensor = model.action_out_proj(x.to(weight.dtype))
        return velocity

    def _suffix_layers(
        self,
        cache: KVCache,
        x: Tensor,
        norms: Sequence[LayerNorms],
        *,
        final: Modulation | None,
        first: int,
    ) -> Tensor:
        """Runs suffix tokens x (B, T, W) from number ``first`` on; they attend to all before them.

        Returns them normed by ``final``. Without ``final``, only their keys and values are
        needed, so the rest of the last layer is left out.
        """
        start = cache.layers[0].shape[1] - self.config.suffix_tokens + first
        cos, sin = (t[:, first : first + x.shape[1]] for t in cache.angles)
        bias = None if cache.bias is None else cache.bias[..., : start + x.shape[1]]
        following = [pair[0] for pair in norms[1:]] + [final]
        normed = norms[0][0](x)
        for layer, pair, layer_cache, after in zip(
            self.expert.layers, norms, cache.layers, following, strict=True
        ):
            q, k, v = layer.project_and_cache(normed, (cos, sin), layer_cache, start=start)
            if after is not None:
                x, normed = layer.finish(x, attend_all(q, k, v, bias), pair, following=after)
        return normed
