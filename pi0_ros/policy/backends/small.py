"""A sampler of π0-small with the interface of π0's."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pi0_ros.model import Inputs, Pi0Small
from pi0_ros.model.small import SmallPrefix


class SmallSampler:
    """Samples chunks from ``model``; absent cameras are left out. One caller at a time.

    Arguments as of :class:`~pi0_ros.model.inference.Sampler`: batches of one, any device.
    """

    def __init__(self, model: Pi0Small) -> None:
        self.model = model

    @torch.no_grad()
    def prefill(self, inputs: Inputs) -> SmallPrefix:
        """Tokens of the present cameras and the prompt."""
        slots = inputs.image_mask[0].nonzero()[:, 0].tolist()
        images, image_mask = inputs.images[:, slots], inputs.image_mask[:, slots]
        present = replace(inputs, images=images, image_mask=image_mask)
        return self.model.prefill(present.to(self._device, non_blocking=True), slots)

    @torch.no_grad()
    def sample_actions(
        self, prefix: SmallPrefix, state: Tensor, noise: Tensor, num_steps: int
    ) -> Tensor:
        """Normalised actions (1, H, D) by ``num_steps`` Euler steps."""
        state, noise = (t.to(self._device, non_blocking=True) for t in (state, noise))
        return self.model.sample_actions(prefix, state, noise, num_steps)

    @property
    def _device(self) -> torch.device:
        return self.model.action_in_proj.weight.device
