"""Flow matching between actions and noise: convention, training times, sampler.

Time t runs from 1 (pure noise) to 0 (data), as in the public checkpoints; the
paper's τ is 1 - t. ``x_t = t * noise + (1 - t) * actions`` and the network
predicts the velocity ``noise - actions``. :mod:`pi0_ros.model.guidance` makes a chunk
continue another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

#: Velocity at x (B, H, D) and time t in [0, 1].
Velocity = Callable[[Tensor, float], Tensor]


def interpolate(actions: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Point x_t (B, H, D) between actions (t = 0) and noise (t = 1); time (B,)."""
    t = time[:, None, None]
    return t * noise + (1 - t) * actions


def target_velocity(actions: Tensor, noise: Tensor) -> Tensor:
    """dx_t/dt, what the network is trained to predict, (B, H, D)."""
    return noise - actions


def training_time(uniform: Tensor) -> Tensor:
    """Uniform draws in [0, 1] to times ``0.999 b + 0.001``, b ~ Beta(1.5, 1) by inverse CDF.

    Noisier times are drawn more often (paper, appendix B): the mean is 0.6.
    """
    return 0.999 * uniform ** (2 / 3) + 0.001


def euler_times(num_steps: int) -> tuple[float, ...]:
    """num_steps + 1 equally spaced times from 1 to 0.

    They are float32 numbers counted down step by step, as the public implementation
    does. The error of the sum is 1e-7, but the fastest period of the time embedding
    turns it into 2e-4 rad, so checkpoints give their own actions only at these times.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}: use at least 1 (the paper uses 10)")
    step = torch.tensor(-1 / num_steps, device="cpu")
    times = [torch.tensor(1.0, device="cpu")]
    for _ in range(num_steps - 1):
        times.append(times[-1] + step)
    return (*(float(t) for t in times), 0.0)


def euler(velocity: Velocity, noise: Tensor, times: Sequence[float]) -> Tensor:
    """Integrates from noise (B, H, D) at ``times[0]`` to ``times[-1]``.

    The times are Python floats, so no step waits for the device.
    """
    x = noise
    for t, t_next in pairwise(times):
        x = x + (t_next - t) * velocity(x, t)
    return x


def time_embedding(time: Tensor, width: int, min_period: float, max_period: float) -> Tensor:
    """Sines, then cosines, of time (B,) at geometric periods, shortest first: (B, width) float32.

    The phase reaches hundreds of turns, so it is computed in float64.
    """
    fraction = torch.linspace(0, 1, width // 2, dtype=torch.float64, device=time.device)
    period = min_period * (max_period / min_period) ** fraction
    phase = 2 * math.pi * time.double()[:, None] / period
    return torch.cat((phase.sin(), phase.cos()), dim=-1).float()
