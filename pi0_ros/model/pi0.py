"""π0 and π0.5: images, prompt, state and noisy actions in, velocity out.

The sequence is a prefix (image and prompt tokens, through the backbone) and a
suffix (state and action tokens, through the expert). The prefix never attends
to the suffix, so sampling runs it once and keeps its keys and values (:meth:`Pi0.prefill`).
Training runs both together (:meth:`Pi0.velocity`).

Shapes: B batch, V camera views, T tokens per view, L prompt tokens, P = V * T + L
prefix tokens, S suffix tokens, H action steps, D padded action width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from pi0_ros.model import flow
from pi0_ros.model.config import Pi0Config
from pi0_ros.model.flops import Flops, sampling_flops
from pi0_ros.model.flow_model import FlowModel
from pi0_ros.model.gemma import Gemma, KeysValues, TokenStream, joint_layers
from pi0_ros.model.inputs import Inputs, check_shape
from pi0_ros.model.siglip import SigLip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """Keys and values of the prefix, computed once per observation.

    ``keys_values`` per layer; ``visible`` (B, S, P + S): keys each suffix token
    attends to; ``positions`` (B, S) of the suffix tokens.
    """

    keys_values: tuple[KeysValues, ...]
    visible: Tensor
    positions: Tensor


def token_layout(prefix_valid: Tensor, suffix_starts: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """Attention mask visible (B, N, N) and positions (B, N) of all N = P + S tokens.

    prefix_valid (B, P) is false for absent cameras and prompt padding; suffix_starts
    marks the suffix tokens that open a block. A token attends to the valid tokens of its
    own block and of earlier ones. Invalid tokens do not advance the position.
    """
    batch, prefix = prefix_valid.shape
    starts = torch.tensor([False] * prefix + list(suffix_starts), device=prefix_valid.device)
    block = starts.long().cumsum(0)
    suffix_valid = prefix_valid.new_ones(batch, len(suffix_starts))
    valid = torch.cat((prefix_valid, suffix_valid), dim=1)
    visible = (block[None, :] <= block[:, None]) & valid[:, None, :] & valid[:, :, None]
    # An invalid token attends to itself, so that no softmax is empty. No other token does.
    visible = visible | torch.eye(len(starts), dtype=torch.bool, device=starts.device)
    return visible, valid.long().cumsum(1) - 1


class Pi0(FlowModel[Prefix]):
    """The network of a :class:`Pi0Config`, π0 or π0.5.

    π0.5 reads the state from the prompt and ignores the vector.
    """

    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        self.config = config
        width, dim = config.expert.width, config.action_dim
        self.vision = SigLip(config.vision, config.backbone.width)
        self.embed_tokens = nn.Embedding(config.vocab, config.backbone.width)
        self.backbone = Gemma(config.backbone)
        self.expert = Gemma(config.expert, adaptive=config.pi05)
        self.action_in_proj = nn.Linear(dim, width)
        self.action_out_proj = nn.Linear(width, dim)
        if config.pi05:
            self.time_mlp_in = nn.Linear(width, width)
            self.time_mlp_out = nn.Linear(width, width)
        else:
            self.state_proj = nn.Linear(dim, width)
            self.action_time_mlp_in = nn.Linear(2 * width, width)
            self.action_time_mlp_out = nn.Linear(width, width)

    def embed_prefix(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Prefix tokens (B, P, backbone width), and which of them are valid (B, P)."""
        inputs.check_prefix(self.config.vision.image_size)
        shown = inputs.image_mask
        seen = self.vision(inputs.images.flatten(0, 1)).unflatten(0, shown.shape)  # (B, V, T, W)
        text = self.embed_tokens(inputs.tokens) * math.sqrt(self.config.backbone.width)
        seen_valid = shown[:, :, None].expand(-1, -1, self.config.vision.tokens)
        embedded = torch.cat((seen.flatten(1, 2), text.to(seen.dtype)), dim=1)
        return embedded, torch.cat((seen_valid.flatten(1, 2), inputs.token_mask), dim=1)

    def embed_suffix(
        self, state: Tensor, noisy_actions: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Suffix tokens (B, S, expert width) and the norms' condition (B, width), π0.5 only."""
        self.check_suffix(state, noisy_actions, time.shape[0])
        config = self.config
        embedded_time = flow.time_embedding(
            time, config.expert.width, config.min_period, config.max_period
        )
        actions = self.action_in_proj(noisy_actions)  # (B, H, width)
        if config.pi05:
            condition = silu(self.time_mlp_out(silu(self.time_mlp_in(embedded_time))))
            return actions, condition
        joined = torch.cat((actions, embedded_time[:, None].expand_as(actions)), dim=-1)
        actions = self.action_time_mlp_out(silu(self.action_time_mlp_in(joined)))
        return torch.cat((self.state_proj(state)[:, None], actions), dim=1), None

    @torch.no_grad()
    def prefill(self, inputs: Inputs) -> Prefix:
        """Runs the prefix through the backbone and keeps its keys and values."""
        embedded, valid = self.embed_prefix(inputs)
        visible, positions = token_layout(valid, self._suffix_starts())
        end = embedded.shape[1]
        stream = TokenStream(stack=self.backbone, x=embedded)
        _, keys_values = joint_layers([stream], positions[:, :end], visible[:, :end, :end])
        return Prefix(
            keys_values=tuple(keys_values), visible=visible[:, end:], positions=positions[:, end:]
        )

    def denoise_step(
        self, prefix: Prefix, state: Tensor, noisy_actions: Tensor, time: Tensor
    ) -> Tensor:
        """Velocity (B, H, D) at noisy_actions (B, H, D) and time (B,); differentiable in both."""
        stream = self._suffix_stream(state, noisy_actions, time)
        (hidden,), _ = joint_layers(
            [stream], prefix.positions, prefix.visible, past=prefix.keys_values
        )
        return self._read_velocity(hidden, stream.condition)

    @torch.no_grad()
    def sample_actions(
        self,
        prefix: Prefix,
        state: Tensor,
        noise: Tensor,
        num_steps: int = 10,
        times: Sequence[float] | None = None,
    ) -> Tensor:
        """Normalised actions (B, H, D) by ``num_steps`` Euler steps, or those of ``times``."""

        def velocity(x: Tensor, t: float) -> Tensor:
            return self.denoise_step(prefix, state, x, x.new_full(x.shape[:1], t))

        return flow.euler(velocity, noise, flow.euler_times(num_steps) if times is None else times)

    def velocity(self, inputs: Inputs, noisy_actions: Tensor, time: Tensor) -> Tensor:
        """Velocity (B, H, D) by one joint pass over prefix and suffix, without a cache."""
        embedded, valid = self.embed_prefix(inputs)
        visible, positions = token_layout(valid, self._suffix_starts())
        suffix = self._suffix_stream(inputs.state, noisy_actions, time)
        prefix = TokenStream(stack=self.backbone, x=embedded)
        (_, hidden), _ = joint_layers([prefix, suffix], positions, visible)
        return self._read_velocity(hidden, suffix.condition)

    def estimate_flops(
        self, *, views: int = 3, num_steps: int = 10, prompt_tokens: int | None = None
    ) -> Flops:
        """Operations to sample one chunk from ``views`` cameras, by stage."""
        return sampling_flops(
            self.config, views=views, num_steps=num_steps, prompt_tokens=prompt_tokens
        )

    def to_bfloat16(self) -> Pi0:
        """Casts the transformers for inference; returns self.

        Patch and position embeddings, the stacks' norms, and the projections of state,
        actions and time stay in float32. Activations have the dtype of the weights.
        """
        self.vision.layers.bfloat16()
        self.vision.post_layernorm.bfloat16()
        self.vision.projector.bfloat16()
        self.embed_tokens.bfloat16()
        for stack in (self.backbone, self.expert):
            for layer in stack.layers:
                layer.self_attn.bfloat16()
                layer.mlp.bfloat16()
        return self

    def _suffix_starts(self) -> list[bool]:
        actions = [True] + [False] * (self.config.action_horizon - 1)
        return actions if self.config.pi05 else [True, *actions]

    def _suffix_stream(self, state: Tensor, noisy_actions: Tensor, time: Tensor) -> TokenStream:
        embedded, condition = self.embed_suffix(state, noisy_actions, time)
        return TokenStream(stack=self.expert, x=embedded.to(self.expert.dtype), condition=condition)

    def _read_velocity(self, hidden: Tensor, condition: Tensor | None) -> Tensor:
        actions = hidden[:, -self.config.action_horizon :]
        normed, _ = self.expert.norm(actions, condition)
        velocity: Tensor = self.action_out_proj(normed.to(self.action_out_proj.weight.dtype))
        return velocity

    def check_suffix(self, state: Tensor, noisy_actions: Tensor, batch: int) -> None:
        """Raises ValueError for a state or actions of another shape or batch."""
        config = self.config
        check_shape("state", state, (batch, config.action_dim))
        check_shape("actions", noisy_actions, (batch, config.action_horizon, config.action_dim))
