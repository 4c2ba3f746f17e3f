"""Floating-point operations of one π0-small chunk, from the dimensions alone."""

from __future__ import annotations

from pi0_ros.model.flops import Flops
from pi0_ros.model.small_config import HybridConfig, Pi0SmallConfig, TransformerConfig


def sampling_flops(
    config: Pi0SmallConfig, *, views: int, num_steps: int, prompt_tokens: int | None
) -> Flops:
    """Cost of one chunk at batch 1: ``views`` images, a padded prompt, ``num_steps`` steps.

    ``prompt_tokens`` defaults to the padded length. Prefix holds the text encoder, the
    observation encoder and the expert's keys and values of its output. Norms, activations
    and the standardisation of filters are not counted.
    """
    prompt = config.max_tokens if prompt_tokens is None else prompt_tokens
    memory = views * config.vision.tokens + prompt + 1
    return Flops(
        vision=2 * views * _hybrid(config.vision, config.encoder.width),
        prefix=2 * _prefix(config, prompt, memory),
        denoise=2 * num_steps * _step(config, memory),
    )


def _blocks(config: TransformerConfig, tokens: int) -> int:
    width = config.width
    return tokens * config.depth * (4 * width**2 + 2 * width * config.mlp + 2 * tokens * width)


def _hybrid(config: HybridConfig, output_width: int) -> int:
    side = config.image_size // 2
    total = 3 * 7**2 * config.stem * side**2
    side, inputs = side // 2, config.stem
    for i, (units, outputs) in enumerate(zip(config.layers, config.channels, strict=True)):
        middle = outputs // 4
        for unit in range(units):
            total += inputs * middle * side**2
            if unit == 0:
                side //= 2 if i > 0 else 1
                total += inputs * outputs * side**2
            total += (9 * middle**2 + middle * outputs) * side**2
            inputs = outputs
    width, tokens = config.blocks.width, config.tokens
    projections = tokens * (inputs * width + width * output_width)
    return total + projections + _blocks(config.blocks, tokens + 1)


def _prefix(config: Pi0SmallConfig, prompt: int, memory: int) -> int:
    text, width = config.text.blocks, config.encoder.width
    projections = prompt * text.width * width + config.action_dim * width
    keys_values = memory * width * 2 * config.expert.width * config.expert.depth
    return _blocks(text, prompt) + projections + _blocks(config.encoder, memory) + keys_values


def _step(config: Pi0SmallConfig, memory: int) -> int:
    expert, horizon = config.expert, config.action_horizon
    width, actions = expert.width, 2 * horizon * config.action_dim * expert.width
    # Query and output of the cross-attention; its keys and values belong to the prefix.
    cross = horizon * expert.depth * (2 * width**2 + 2 * memory * width)
    time = 2 * width**2 + (9 * expert.depth + 2) * width**2
    return actions + _blocks(expert, horizon) + cross + time
