"""Random weights, for training and for tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pi0_ros.model.config import Pi0Config
from pi0_ros.model.empty_weights import init_empty_weights
from pi0_ros.model.gemma import AdaRMSNorm, RMSNorm
from pi0_ros.model.pi0 import Pi0

#: Standard deviation of a unit normal truncated at two of its own.
_TRUNCATED_STD = 0.87962566103423978


def random_pi0(config: Pi0Config, seed: int = 0) -> Pi0:
    """A float32 network on the CPU whose weights depend on config and seed alone.

    Matrices are LeCun normal (truncated, variance 1 / fan-in), biases zero, norms the
    identity, as in the original; adaptive norms start with a zero gate. Embeddings are
    scaled so that tokens enter the stacks with unit variance.
    """
    with init_empty_weights():
        model = Pi0(config)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    adaptive = {id(m.dense) for m in model.modules() if isinstance(m, AdaRMSNorm)}
    with torch.no_grad():
        for module in model.modules():
            _initialise(module, generator, zero=id(module) in adaptive)
    return model


def lecun_normal_(weight: Tensor, generator: torch.Generator) -> None:
    """Fills ``weight`` from a normal of variance 1 / fan-in, truncated at two deviations."""
    std = weight[0].numel() ** -0.5 / _TRUNCATED_STD
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)


def _initialise(module: nn.Module, generator: torch.Generator, *, zero: bool) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        if zero:
            module.weight.zero_()
        else:
            lecun_normal_(module.weight, generator)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5, generator=generator)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()
    elif isinstance(module, RMSNorm):
        module.weight.zero_()
