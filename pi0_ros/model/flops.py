"""Floating-point operations of one sampled chunk, from the dimensions alone."""

from __future__ import annotations

from dataclasses import dataclass

from pi0_ros.model.config import GemmaConfig, Pi0Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Flops:
    """Operations (a multiply-add counts 2) of matrix products and attention, by stage."""

    vision: int
    prefix: int
    denoise: int

    @property
    def total(self) -> int:
        """All stages together."""
        return self.vision + self.prefix + self.denoise


def sampling_flops(
    config: Pi0Config, *, views: int, num_steps: int, prompt_tokens: int | None
) -> Flops:
    """Cost of one chunk at batch 1: ``views`` images, a padded prompt, ``num_steps`` steps.

    ``prompt_tokens`` defaults to the padded length. Norms, activations and rotary
    angles are not counted.
    """
    prompt = config.max_tokens if prompt_tokens is None else prompt_tokens
    prefix = views * config.vision.tokens + prompt
    suffix = config.suffix_tokens
    step = _stack(config.expert, suffix, prefix + suffix) + _projections(config)
    return Flops(
        vision=views * _image(config),
        prefix=_stack(config.backbone, prefix, prefix),
        denoise=num_steps * step,
    )


def reduced_flops(
    config: Pi0Config, *, views: int, num_steps: int, prompt_tokens: int | None
) -> Flops:
    """The same without the computations that cannot change the actions.

    The last prefix layer computes keys and values only. The state token runs once and stops at
    its last keys and values. Terms that depend on the time alone are computed beforehand.
    """
    prompt = config.max_tokens if prompt_tokens is None else prompt_tokens
    prefix = views * config.vision.tokens + prompt
    backbone, expert, width = config.backbone, config.expert, config.expert.width
    last = 4 * prefix * backbone.width * backbone.kv_heads * backbone.head_dim
    whole = _stack(backbone, prefix, prefix)
    horizon, dim = config.action_horizon, config.action_dim
    layers = _stack(expert, horizon, prefix + config.suffix_tokens)
    mixing = 0 if config.pi05 else width**2
    step = layers + 2 * horizon * (2 * dim * width + mixing)
    state = 0 if config.pi05 else _remembered(expert, prefix + 1) + 2 * dim * width
    return Flops(
        vision=views * _image(config),
        prefix=whole - whole // backbone.depth + last,
        denoise=num_steps * step + state,
    )


def _image(config: Pi0Config) -> int:
    vision, tokens = config.vision, config.vision.tokens
    patches = 3 * vision.patch**2 * vision.width
    block = 4 * vision.width**2 + 2 * vision.width * vision.mlp + 2 * tokens * vision.width
    projector = vision.width * config.backbone.width
    return 2 * tokens * (patches + vision.depth * block + projector)


def _stack(gemma: GemmaConfig, queries: int, keys: int) -> int:
    attention_width = gemma.heads * gemma.head_dim
    projections = 2 * gemma.width * (gemma.heads + gemma.kv_heads) * gemma.head_dim
    mlp = 3 * gemma.width * gemma.mlp
    attention = 2 * attention_width * keys
    return 2 * queries * gemma.depth * (projections + mlp + attention)


def _remembered(gemma: GemmaConfig, keys: int) -> int:
    """One token whose last layer computes queries, keys and values only."""
    attention_width = gemma.heads * gemma.head_dim
    unused = attention_width * (gemma.width + 2 * keys) + 3 * gemma.width * gemma.mlp
    return _stack(gemma, 1, keys) - 2 * unused


def _projections(config: Pi0Config) -> int:
    width, dim, horizon = config.expert.width, config.action_dim, config.action_horizon
    actions = 2 * horizon * dim * width
    if config.pi05:
        norms = (2 * config.expert.depth + 1) * 3 * width**2
        return 2 * (actions + 2 * width**2 + norms)
    return 2 * (actions + dim * width + horizon * 3 * width**2)
