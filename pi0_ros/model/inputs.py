"""The observation as the networks read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Inputs of a batch of B samples, with V camera views, L prompt tokens and vectors D wide.

    ``images`` (B, V, 3, size, size) in [-1, 1]; ``image_mask`` (B, V) bool, false for an
    absent camera; ``tokens`` (B, L) int64; ``token_mask`` (B, L) bool, false for padding;
    ``state`` (B, D), normalised and padded. A single sample has the same tensors without B.
    """

    images: Tensor
    image_mask: Tensor
    tokens: Tensor
    token_mask: Tensor
    state: Tensor

    @classmethod
    def stack(cls, samples: Sequence[Inputs]) -> Inputs:
        """A batch of single samples, which must have equal shapes."""
        return cls(**{f.name: torch.stack([getattr(s, f.name) for s in samples]) for f in _FIELDS})

    def map(self, function: Callable[[Tensor], Tensor]) -> Inputs:
        """New inputs with ``function`` applied to every tensor."""
        return Inputs(**{f.name: function(getattr(self, f.name)) for f in _FIELDS})

    def to(
        self,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        non_blocking: bool = False,
    ) -> Inputs:
        """Moves every tensor to ``device`` and casts the floating-point ones to ``dtype``."""

        def move(tensor: Tensor) -> Tensor:
            cast = dtype if tensor.is_floating_point() else None
            return tensor.to(device=device, dtype=cast, non_blocking=non_blocking)

        return self.map(move)

    def check_prefix(self, image_size: int, views: int | None = None) -> None:
        """Raises ValueError unless images, prompt and masks fit each other and the network.

        ``views`` is the number of camera views; None allows any number.
        """
        shape, image = tuple(self.images.shape), (3, image_size, image_size)
        if len(shape) != 5 or shape[2:] != image or (views is not None and shape[1] != views):
            raise ValueError(
                f"images have shape {shape}: expected "
                f"(B, {'V' if views is None else views}, 3, {image_size}, {image_size})"
            )
        check_shape("image_mask", self.image_mask, shape[:2])
        check_shape("tokens", self.tokens, (shape[0], self.tokens.shape[-1]))
        check_shape("token_mask", self.token_mask, tuple(self.tokens.shape))


_FIELDS = fields(Inputs)


def check_shape(name: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """Raises ValueError with both shapes unless ``tensor`` has the ``expected`` one."""
    if tuple(tensor.shape) != expected:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}: expected {expected}")
