"""Small π0-small networks and random inputs for the tests of this folder."""

from __future__ import annotations

import torch
from networks import Batch

from pi0_ros.model import Inputs
from pi0_ros.model.small import Pi0Small
from pi0_ros.model.small_config import (
    HybridConfig,
    Pi0SmallConfig,
    TextConfig,
    TransformerConfig,
)
from pi0_ros.model.small_weights import random_pi0_small


def config() -> Pi0SmallConfig:
    """Dimensions that agree with no published size in anything."""
    return Pi0SmallConfig(
        text=TextConfig(
            blocks=TransformerConfig(width=20, depth=2, mlp=28, heads=5), vocab=30, positions=13
        ),
        vision=HybridConfig(
            blocks=TransformerConfig(width=12, depth=1, mlp=18, heads=3),
            stem=6,
            layers=(1, 2),
            groups=3,
            image_size=24,
        ),
        encoder=TransformerConfig(width=24, depth=2, mlp=40, heads=6),
        expert=TransformerConfig(width=28, depth=3, mlp=36, heads=4),
        action_dim=9,
        action_horizon=7,
        max_tokens=11,
    )


def perturbed(seed: int = 0) -> Pi0Small:
    """Random weights in which gates, norms and biases, neutral at the start, count too."""
    model = random_pi0_small(config(), seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.requires_grad_(False)


def inputs(dimensions: Pi0SmallConfig, *, batch: int = 2, seed: int = 0) -> Batch:
    """Sample 0 lacks its second camera and pads its prompt; the others are complete."""
    g = torch.Generator().manual_seed(seed)
    size = dimensions.vision.image_size
    image_mask = torch.ones(batch, dimensions.views, dtype=torch.bool)
    image_mask[0, 1] = False
    token_mask = torch.ones(batch, dimensions.max_tokens, dtype=torch.bool)
    token_mask[0, dimensions.max_tokens // 2 :] = False
    chunk = (batch, dimensions.action_horizon, dimensions.action_dim)
    return Batch(
        inputs=Inputs(
            images=torch.rand(batch, dimensions.views, 3, size, size, generator=g) * 2 - 1,
            image_mask=image_mask,
            tokens=torch.randint(0, dimensions.vocab, (batch, dimensions.max_tokens), generator=g),
            token_mask=token_mask,
            state=torch.randn(batch, dimensions.action_dim, generator=g),
        ),
        noise=torch.randn(chunk, generator=g),
        actions=torch.randn(chunk, generator=g),
        time=torch.rand(batch, generator=g),
    )
