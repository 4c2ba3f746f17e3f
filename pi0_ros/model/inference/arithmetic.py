"""The operations between the matrix products, as functions that a compiler can fuse.

Without compilation, every line is a pass over memory, and on a GPU a separate kernel:
thousands per chunk. :func:`compiled` makes one kernel of each function.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn.functional import gelu, rms_norm

from pi0_ros.model.gemma import EPS, rotate

#: Coefficients of GELU's tanh form, written as x * sigmoid(x * (_LINEAR + _CUBIC * x²)).
_LINEAR = 1.5957691216057308
_CUBIC = 0.044715 * _LINEAR
_KINDS_OF_SHAPES = 64


def normalise(x: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    """``x / rms(x) * scale + shift`` in float32, in the dtype of x."""
    y = rms_norm(x.float(), x.shape[-1:], scale, EPS)
    return (y if shift is None else y + shift).to(x.dtype)


def add_and_normalise(
    x: Tensor, branch: Tensor, gate: Tensor | None, scale: Tensor, shift: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The residual stream x with a branch, gated or not; and the same normalised."""
    x = x + branch if gate is None else torch.addcmul(x, gate, branch)
    return x, normalise(x, scale, shift)


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU in its tanh form. On a CPU without gradients it takes fewer, cheaper passes."""
    if x.is_cuda or torch.is_grad_enabled() or x.dtype != torch.float32:
        return gelu(x, approximate="tanh")
    return (x * x).mul_(_CUBIC).add_(_LINEAR).mul_(x).sigmoid_().mul_(x)


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """``gelu(gate) * up``."""
    if gate.is_cuda or torch.is_grad_enabled():
        return gelu_tanh(gate) * up
    return gelu_tanh(gate).mul_(up)


def rotate_heads(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of x (B, T, heads, head_dim), angles (B, T, 1, head_dim / 2)."""
    return rotate(x, (cos, sin))


def rotate_and_stack(
    heads: Tensor, cos: Tensor, sin: Tensor, kv_heads: int
) -> tuple[Tensor, Tensor]:
    """Rotated queries, and rotated keys beside values (B, T, 2, kv_heads, head_dim).

    ``heads`` (B, T, heads, head_dim) holds queries, keys and values, in this order.
    """
    turned = rotate_heads(heads[:, :, :-kv_heads], cos, sin)
    own = torch.stack((turned[:, :, -kv_heads:], heads[:, :, -kv_heads:]), dim=2)
    return turned[:, :, :-kv_heads], own


def rotate_and_store(heads: Tensor, cos: Tensor, sin: Tensor, cache: Tensor) -> Tensor:
    """:func:`rotate_and_stack`, keys and values written to ``cache``; returns the queries."""
    q, own = rotate_and_stack(heads, cos, sin, cache.shape[3])
    cache.copy_(own)
    return q


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """The functions above, as they are or compiled."""

    normalise: Callable[[Tensor, Tensor, Tensor | None], Tensor] = normalise
    add_and_normalise: Callable[..., tuple[Tensor, Tensor]] = add_and_normalise
    gated: Callable[[Tensor, Tensor], Tensor] = gated
    rotate_heads: Callable[[Tensor, Tensor, Tensor], Tensor] = rotate_heads
    rotate_and_store: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = rotate_and_store


PLAIN = Arithmetic()


@cache
def compiled() -> Arithmetic:
    """The compiled functions of the process. Each kind of shape is compiled at first use."""
    # The import takes two seconds, and a CPU does not need it.
    from torch._dynamo import config as dynamo_config

    # Prefix, suffix and state token of every loaded network exceed torch's default limit.
    dynamo_config.recompile_limit = max(dynamo_config.recompile_limit, _KINDS_OF_SHAPES)
    return Arithmetic(
        normalise=torch.compile(normalise),
        add_and_normalise=torch.compile(add_and_normalise),
        gated=torch.compile(gated),
        rotate_heads=torch.compile(rotate_heads),
        rotate_and_store=torch.compile(rotate_and_store),
    )


def can_compile(device: torch.device) -> bool:
    """Whether torch can compile: it needs Triton and C for a GPU, C++ for a CPU."""
    if device.type == "cpu":
        return any(map(shutil.which, ("g++", "clang++")))
    return find_spec("triton") is not None and any(map(shutil.which, ("cc", "gcc", "clang")))
