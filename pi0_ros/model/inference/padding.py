"""Removal of absent cameras and prompt padding.

Invalid tokens take no position and no valid token attends to them, so removing them does
not change the actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixLayout:
    """The kept part of a batch, on the host. P' = len(views) * T + text tokens.

    ``views``: slots that at least one sample has; ``present`` (B, V'): which sample has which;
    ``tokens``: each sample's prompt, invalid tokens removed, zeros at the end;
    ``valid`` (B, P'); ``complete``: no token is padding.
    """

    views: tuple[int, ...]
    present: Tensor
    tokens: tuple[tuple[int, ...], ...]
    valid: Tensor
    complete: bool

    @property
    def bucket(self) -> tuple[int, int, int, bool]:
        """Key of all tensor shapes: batch, views, text tokens, masked or not."""
        return len(self.tokens), len(self.views), len(self.tokens[0]), self.complete

    @property
    def positions(self) -> Tensor:
        """Positions (B, P') of the kept tokens; those of padding do not matter."""
        return (self.valid.long().cumsum(1) - 1).clamp_(min=0)

    @property
    def lengths(self) -> Tensor:
        """Valid prefix tokens (B, 1): the position of the first suffix token."""
        return self.valid.long().sum(1, keepdim=True)

    def slots(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Sample and slot of every present view, for indexing images (B, V, ...)."""
        row, column = self.columns(device)
        return row, torch.tensor(self.views, dtype=torch.long).to(device)[column]

    def columns(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The same, counting kept views only, for indexing (B, V', ...)."""
        row, column = self.present.nonzero().unbind(1)
        return row.to(device), column.to(device)


def drop_padding(
    image_mask: Tensor, tokens: Tensor, token_mask: Tensor, *, view_tokens: int, multiple: int
) -> PrefixLayout:
    """Removes cameras that no sample has, and prompt padding beyond the longest prompt.

    image_mask (B, V), tokens and token_mask (B, L). The text is rounded up to a
    ``multiple`` of tokens, so that few shapes occur; 1 leaves no padding at batch 1.
    If the masks are on a device, the host waits for it.
    """
    if multiple < 1:
        raise ValueError(f"multiple is {multiple}: use at least 1")
    seen = image_mask.cpu()
    views = tuple(seen.any(0).nonzero().flatten().tolist())
    words = [
        [word for word, valid in zip(*row, strict=True) if valid]
        for row in zip(tokens.tolist(), token_mask.tolist(), strict=True)
    ]
    length = -(-max(map(len, words)) // multiple) * multiple
    present = seen[:, list(views)]
    spoken = torch.tensor([[i < len(row) for i in range(length)] for row in words]).bool()
    valid = torch.cat(
        (present.repeat_interleave(view_tokens, dim=1), spoken.reshape(len(words), length)), dim=1
    )
    return PrefixLayout(
        views=views,
        present=present,
        tokens=tuple((*row, *[0] * (length - len(row))) for row in words),
        valid=valid,
        complete=bool(valid.all()),
    )
