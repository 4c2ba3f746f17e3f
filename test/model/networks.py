"""Small networks and random inputs for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pi0_ros.model import GemmaConfig, Inputs, Pi0, Pi0Config, VisionConfig, random_pi0


def small_config(*, pi05: bool = False, kv_heads: int = 2) -> Pi0Config:
    """Dimensions that agree with no published size in anything."""
    return Pi0Config(
        vision=VisionConfig(width=24, depth=2, mlp=40, heads=3, patch=8, image_size=32),
        backbone=GemmaConfig(width=40, depth=3, mlp=56, heads=6, kv_heads=kv_heads, head_dim=10),
        expert=GemmaConfig(width=28, depth=3, mlp=36, heads=6, kv_heads=kv_heads, head_dim=10),
        vocab=30,
        action_dim=9,
        action_horizon=7,
        max_tokens=11,
        pi05=pi05,
    )


def perturbed(config: Pi0Config, seed: int = 0) -> Pi0:
    """Random weights in which norms and biases, zero at the start, count too."""
    model = random_pi0(config, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Inputs of a batch, and everything else that training and sampling take."""

    inputs: Inputs
    noise: Tensor
    actions: Tensor
    time: Tensor

    def row(self, index: int) -> Batch:
        """One sample, as a batch of one."""
        cut = slice(index, index + 1)
        return Batch(
            inputs=self.inputs.map(lambda t: t[cut]),
            noise=self.noise[cut],
            actions=self.actions[cut],
            time=self.time[cut],
        )


def random_inputs(config: Pi0Config, *, batch: int = 2, views: int = 3, seed: int = 0) -> Batch:
    """Sample 0 lacks its second camera and pads its prompt; the others are complete."""
    g = torch.Generator().manual_seed(seed)
    size = config.vision.image_size
    image_mask = torch.ones(batch, views, dtype=torch.bool)
    image_mask[0, 1:2] = False
    token_mask = torch.ones(batch, config.max_tokens, dtype=torch.bool)
    token_mask[0, config.max_tokens // 2 :] = False
    chunk = (batch, config.action_horizon, config.action_dim)
    return Batch(
        inputs=Inputs(
            images=torch.rand(batch, views, 3, size, size, generator=g) * 2 - 1,
            image_mask=image_mask,
            tokens=torch.randint(0, config.vocab, (batch, config.max_tokens), generator=g),
            token_mask=token_mask,
            state=torch.randn(batch, config.action_dim, generator=g),
        ),
        noise=torch.randn(chunk, generator=g),
        actions=torch.randn(chunk, generator=g),
        time=torch.rand(batch, generator=g),
    )
