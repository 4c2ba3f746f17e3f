"""π0-small: the ablation of the π0 paper, an encoder-decoder without a vision-language model.

One ResNet-ViT hybrid per camera encodes the images, and DistilBERT encodes the prompt. The
observation encoder joins both with the state, and the action expert cross-attends to its
output. Flow and time convention are those of :class:`~pi0_ros.model.pi0.Pi0`.

Shapes: B batch, V camera views, T tokens per view, L prompt tokens, P = V * T + L
prefix tokens, M = P + 1 memory tokens (with the state), H action steps, D padded
action width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from pi0_ros.model import flow
from pi0_ros.model.flops import Flops
from pi0_ros.model.flow_model import FlowModel
from pi0_ros.model.inputs import Inputs, check_shape
from pi0_ros.model.small_blocks import Dit, KeysValues, TextEncoder
from pi0_ros.model.small_config import Pi0SmallConfig
from pi0_ros.model.small_flops import sampling_flops
from pi0_ros.model.small_vision import Hybrid, pre_norm


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallPrefix:
    """Image and prompt tokens, without the state; computed once per observation.

    ``tokens`` (B, P, encoder width); ``valid`` (B, P), false for absent cameras and
    prompt padding.
    """

    tokens: Tensor
    valid: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The encoded observation as every layer of the expert reads it.

    ``keys_values`` per layer, each (B, heads, M, head_dim); ``visible`` (B, M).
    """

    keys_values: tuple[KeysValues, ...]
    visible: Tensor


class Pi0Small(FlowModel[SmallPrefix]):
    """The network of a :class:`Pi0SmallConfig`.

    Prompts are WordPiece tokens with [CLS] and [SEP]. Absent cameras may be left out of the
    inputs: ``slots`` then names the camera slot of each image. By default the images fill all
    slots in order.
    """

    def __init__(self, config: Pi0SmallConfig) -> None:
        super().__init__()
        self.config = config
        width, dim = config.expert.width, config.action_dim
        self.vision = nn.ModuleList(
            Hybrid(config.vision, config.encoder.width) for _ in range(config.views)
        )
        self.text = TextEncoder(config.text)
        self.text_projector = nn.Linear(config.text.blocks.width, config.encoder.width)
        self.state_proj = nn.Linear(dim, config.encoder.width)
        self.encoder = pre_norm(config.encoder)
        self.action_in_proj = nn.Linear(dim, width)
        self.action_position = nn.Parameter(torch.zeros(1, config.action_horizon, width))
        self.time_mlp_in = nn.Linear(width, width)
        self.time_mlp_out = nn.Linear(width, width)
        self.expert = Dit(config)
        self.action_out_proj = nn.Linear(width, dim)

    def embed_prefix(self, inputs: Inputs, slots: Sequence[int] | None = None) -> SmallPrefix:
        """Image and prompt tokens in the observation encoder's width."""
        chosen = range(self.config.views) if slots is None else slots
        self._check_prefix(inputs, chosen)
        seen = [self.vision[slot](inputs.images[:, i]) for i, slot in enumerate(chosen)]
        text = self.text_projector(self.text(inputs.tokens, inputs.token_mask))
        seen_valid = inputs.image_mask.repeat_interleave(self.config.vision.tokens, dim=1)
        return SmallPrefix(
            tokens=torch.cat((*seen, text), dim=1),
            valid=torch.cat((seen_valid, inputs.token_mask), dim=1),
        )

    def encode(self, prefix: SmallPrefix, state: Tensor) -> Memory:
        """Joins prefix and state; called once per chunk."""
        check_shape("state", state, (prefix.valid.shape[0], self.config.action_dim))
        state_token = self.state_proj(state)[:, None].to(prefix.tokens.dtype)
        tokens = torch.cat((prefix.tokens, state_token), dim=1)
        visible = torch.cat((prefix.valid, prefix.valid.new_ones(len(state), 1)), dim=1)
        encoded = self.encoder(tokens, src_key_padding_mask=~visible)
        return Memory(keys_values=self.expert.keys_values(encoded), visible=visible)

    @torch.no_grad()
    def prefill(self, inputs: Inputs, slots: Sequence[int] | None = None) -> SmallPrefix:
        """:meth:`embed_prefix` without gradients."""
        return self.embed_prefix(inputs, slots)

    def denoise_step(
        self, prefix: SmallPrefix, state: Tensor, noisy_actions: Tensor, time: Tensor
    ) -> Tensor:
        """Velocity (B, H, D) at noisy_actions and time (B,); differentiable in them and state.

        Encodes the observation again at each call; :meth:`sample_actions` does so once.
        """
        memory = self.encode(prefix, state)
        return self._velocity(memory, noisy_actions, self._modulations(time))

    @torch.no_grad()
    def sample_actions(
        self,
        prefix: SmallPrefix,
        state: Tensor,
        noise: Tensor,
        num_steps: int = 10,
        times: Sequence[float] | None = None,
    ) -> Tensor:
        """Normalised actions (B, H, D) by ``num_steps`` Euler steps, or those of ``times``."""
        times = flow.euler_times(num_steps) if times is None else times
        memory = self.encode(prefix, state)
        # A third of the expert's weights compute modulations from times: read them once per
        # chunk, not once per step.
        steps = self._modulations(torch.tensor(times[:-1], device=noise.device))
        row = {t: i for i, t in enumerate(times[:-1])}

        def velocity(x: Tensor, t: float) -> Tensor:
            at = row[t]
            return self._velocity(memory, x, [m[at : at + 1] for m in steps])

        return flow.euler(velocity, noise, times)

    def velocity(self, inputs: Inputs, noisy_actions: Tensor, time: Tensor) -> Tensor:
        """Velocity (B, H, D), differentiable in all weights."""
        return self.denoise_step(self.embed_prefix(inputs), inputs.state, noisy_actions, time)

    def estimate_flops(
        self, *, views: int | None = None, num_steps: int = 10, prompt_tokens: int | None = None
    ) -> Flops:
        """Operations to sample one chunk from ``views`` cameras (default: all), by stage."""
        return sampling_flops(
            self.config,
            views=self.config.views if views is None else views,
            num_steps=num_steps,
            prompt_tokens=prompt_tokens,
        )

    def to_bfloat16(self) -> Pi0Small:
        """Casts hybrids, text encoder, observation encoder and expert; returns self.

        The projections of state, actions and time stay in float32.
        """
        for part in (self.vision, self.text, self.text_projector, self.encoder, self.expert):
            part.bfloat16()
        return self

    @property
    def _dtype(self) -> torch.dtype:
        return self.expert.final_modulation.weight.dtype

    def _modulations(self, time: Tensor) -> tuple[Tensor, ...]:
        config = self.config
        embedded = flow.time_embedding(
            time, config.expert.width, config.min_period, config.max_period
        )
        condition = self.time_mlp_out(silu(self.time_mlp_in(embedded)))
        return self.expert.modulations(condition.to(self._dtype))

    def _velocity(self, memory: Memory, noisy: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        config = self.config
        batch = memory.visible.shape[0]
        check_shape("actions", noisy, (batch, config.action_horizon, config.action_dim))
        x = (self.action_in_proj(noisy) + self.action_position).to(self._dtype)
        hidden = self.expert(x, modulations, memory.keys_values, memory.visible)
        velocity: Tensor = self.action_out_proj(hidden.to(self.action_out_proj.weight.dtype))
        return velocity

    def _check_prefix(self, inputs: Inputs, slots: Sequence[int]) -> None:
        views, positions = self.config.views, self.config.text.positions
        if any(not 0 <= slot < views for slot in slots) or len(set(slots)) < len(slots):
            raise ValueError(f"slots are {list(slots)}: use each of 0 to {views - 1} at most once")
        length = inputs.tokens.shape[-1]
        if length > positions:
            raise ValueError(
                f"tokens have length {length}: the text encoder knows {positions} positions, "
                "cut the prompt"
            )
        inputs.check_prefix(self.config.vision.image_size, len(slots))
