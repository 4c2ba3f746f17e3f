"""Chunks that continue another one: guided sampling of real-time chunking, and inpainting.

Real-time chunking (arXiv 2506.07339) in the time convention of :mod:`pi0_ros.model.flow`:
t = 1 - τ and v = -v_τ. While a new chunk is computed, the robot executes the old one. The rows
of the new chunk for that time are frozen to the old chunk. The rows after them are pulled
towards it with decreasing weight, and the last rows are free.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from pi0_ros.model import flow
from pi0_ros.model.flow import Velocity

#: How the weight falls between the frozen and the free rows; "exp" is the paper's.
SCHEDULES = ("exp", "linear", "ones", "zeros")
#: Largest guidance coefficient (β) of the paper.
MAX_GUIDANCE = 5.0


class Continuation(Protocol):
    """A way to integrate the flow that continues another chunk.

    ``tensors`` differ from chunk to chunk, and ``kind`` identifies everything else: a graph
    captured for one kind can be replayed on other tensors.
    """

    @property
    def tensors(self) -> tuple[Tensor, Tensor]: ...

    @property
    def kind(self) -> Hashable: ...

    def on(self, tensors: tuple[Tensor, ...]) -> Continuation:
        """The same with other tensors."""

    def integrate(self, velocity: Velocity, noise: Tensor, times: Sequence[float]) -> Tensor:
        """From noise (B, H, D) at ``times[0]`` to ``times[-1]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Pulls the chunk towards ``target`` (B, H, D), in model space, by ``weights`` (H, D).

    Weights come from :func:`prefix_weights` and are zero in padded action dimensions. The
    old chunk's values there are not kept, so a pull to zero would be arbitrary, and the
    Jacobian would spread it to the dimensions that are executed.
    """

    target: Tensor
    weights: Tensor
    max_guidance: float = MAX_GUIDANCE

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """The tensors that differ from chunk to chunk."""
        return self.target, self.weights

    @property
    def kind(self) -> Hashable:
        """Key of everything that does not differ."""
        return "guidance", self.max_guidance

    def on(self, tensors: tuple[Tensor, ...]) -> Guidance:
        """The same with another target and weights."""
        target, weights = tensors
        return replace(self, target=target, weights=weights)

    def integrate(self, velocity: Velocity, noise: Tensor, times: Sequence[float]) -> Tensor:
        """Euler with a backward pass in every step; see :func:`guided_velocity`."""
        return flow.euler(guided_velocity(velocity, self), noise, times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inpainting:
    """Replaces the chunk by ``target`` (B, H, D) where ``mask`` (H, D) is true; no backward pass.

    At time t the replaced entries lie where the path from the noise to the target does. It
    needs no special training, but it does not couple the rows: after the mask, the chunk
    is only as continuous as the network makes it.
    """

    target: Tensor
    mask: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """The tensors that differ from chunk to chunk."""
        return self.target, self.mask

    @property
    def kind(self) -> Hashable:
        """Key of everything that does not differ."""
        return "inpainting"

    def on(self, tensors: tuple[Tensor, ...]) -> Inpainting:
        """The same with another target and mask."""
        target, mask = tensors
        return replace(self, target=target, mask=mask)

    def integrate(self, velocity: Velocity, noise: Tensor, times: Sequence[float]) -> Tensor:
        """Euler; the masked entries of the result equal the target."""
        x = noise
        for t, t_next in pairwise(times):
            x = x + (t_next - t) * velocity(x, t)
            x = torch.where(self.mask, t_next * noise + (1 - t_next) * self.target, x)
        return x


def prefix_weights(schedule: str, *, delay: int, end: int, horizon: int) -> Tensor:
    """Weight W (H,) of each row, float32: 1 before ``delay``, 0 from ``end`` on.

    ``delay``: rows executed before the new chunk arrives; ``end``: remaining rows of the old chunk,
    H - s in the paper and ``execution_horizon`` in LeRobot. In between, with
    ``c = (end - i) / (end - delay + 1)``: "exp" ``c (e^c - 1) / (e - 1)`` (the paper, eq. 5),
    "linear" c, "ones" 1, "zeros" 0. Raises ValueError unless 0 <= delay <= end <= horizon.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}; give one of {', '.join(SCHEDULES)}")
    if not 0 <= delay <= end <= horizon:
        raise ValueError(
            f"delay is {delay}, end {end}, horizon {horizon}: give 0 <= delay <= end <= horizon"
        )
    rows = torch.arange(horizon, dtype=torch.float64)
    c = (end - rows) / (end - delay + 1)
    between = {
        "exp": c * torch.expm1(c) / math.expm1(1.0),
        "linear": c,
        "ones": torch.ones_like(c),
        "zeros": torch.zeros_like(c),
    }[schedule]
    weights = torch.where(rows < delay, 1.0, torch.where(rows < end, between, 0.0))
    return weights.float()


def guidance_coefficient(t: float, max_guidance: float = MAX_GUIDANCE) -> float:
    """``min(max_guidance, t / ((1 - t) r^2))`` with ``r^2 = t^2 / ((1 - t)^2 + t^2)``.

    It is infinite at both ends of the path and is clipped there (the paper, eq. 2).
    """
    if not 0.0 < t < 1.0:
        return max_guidance
    return min(max_guidance, ((1.0 - t) ** 2 + t**2) / (t * (1.0 - t)))


def guided_velocity(velocity: Velocity, guidance: Guidance) -> Velocity:
    """The velocity with a pull towards the target (the paper, eq. 2 and 4).

    With the estimate ``a = x - t v(x, t)`` of the finished chunk it is
    ``v - coefficient * (target - a)^T diag(W) da/dx``, with the exact vector-Jacobian product
    of the network. Only x gets a gradient; parameters accumulate none.
    """

    def guided(x: Tensor, t: float) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            v = velocity(x, t)
            estimate = x - t * v
            error = (guidance.target - estimate.detach()) * guidance.weights
            (pull,) = torch.autograd.grad(estimate, x, error)
        return v.detach() - guidance_coefficient(t, guidance.max_guidance) * pull

    return guided
