"""Tensors whose shape and dtype are known before their values are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyTensor:
    """Shape and dtype as stored, and how to read the values; ``read`` may map a file.

    What ``read`` returns is the caller's only reference: dropping it releases the memory.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]

    @classmethod
    def of(cls, tensor: Tensor) -> LazyTensor:
        """A tensor that is already in memory."""
        return cls(shape=tuple(tensor.shape), dtype=tensor.dtype, read=lambda: tensor)


LazyTensors = Mapping[str, LazyTensor]


def all_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite; touches every page, allocates nothing."""
    if tensor.numel() == 0 or not tensor.is_floating_point():
        return True
    low, high = torch.aminmax(tensor)  # propagates NaN
    return bool(low.isfinite() and high.isfinite())
