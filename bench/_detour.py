"""An analytic policy with two modes: it passes obstacles on either side.

Actions follow a slow wave in every joint. Every two seconds the robot passes an obstacle on one of
two sides, at a varying time. Sides and times are modes of a Gaussian mixture over whole chunks.
Each chunk starts at the pose of the robot. Within a mode, chunks deviate from the trajectory by
smooth noise and a little white noise. A Gaussian mixture on the straight path between noise and
data has an exact velocity, so samplers can use it like a network.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pi0_ros.embodiment import Embodiment
from pi0_ros.model import flow
from pi0_ros.model.guidance import Continuation
from pi0_ros.policy.backends.local import continuation
from pi0_ros.policy.types import RemainingActions

Array = NDArray[np.float64]

PERIOD_S = 2.0
#: Largest distance from the wave, at the obstacle [rad], and joints that make the detour.
ASIDE = 0.3
ASIDE_JOINTS = (0, 1)
#: Time shifts of the modes [s].
LAGS_S = (-0.1, 0.1)
WAVE, WAVE_PERIOD_S = 0.25, 5.0
#: Time in which a chunk moves from the pose of the robot to its trajectory [s].
RETURN_S = 0.12
#: One unit of model space [rad].
SCALE = 0.4
#: Smooth deviation within a mode [rad], its time scale [s], and white noise per row [rad].
STRAY, STRAY_S, JERKY = 0.04, 0.3, 0.0003
#: Distance at which the position of the robot distinguishes the sides [rad].
DISCERNED = 0.35
STEPS = 10


class Detour:
    """Chunks (H, A) for a robot at ``position`` (A,) at ``now_s``; row 0 is one step later."""

    def __init__(self, robot: Embodiment, seed: int) -> None:
        self._home, self._dt = robot.home, robot.rates.step_duration_s
        self._horizon = robot.rates.horizon
        self._phase = np.linspace(0.0, 1.5, len(robot.action))
        self._wave = np.array([WAVE if d.unit == "rad" else 0.0 for d in robot.action])
        self._spread = Spread(self._horizon, self._dt)
        self._generator = torch.Generator().manual_seed(seed)

    def curve(self, side: float, lag_s: float, times_s: Array) -> Array:
        """Trajectory (T, A) of a mode."""
        t = times_s[:, None] - lag_s
        wave = self._wave * np.sin(2 * np.pi * t / WAVE_PERIOD_S + self._phase)
        aside = np.zeros_like(wave)
        aside[:, list(ASIDE_JOINTS)] = side * ASIDE * np.sin(np.pi * t / PERIOD_S) ** 4
        return self._home + wave + aside

    def aside(self, commands: Array, times_s: Array) -> Array:
        """Distance of commands (T, A) from the wave in the first joint; 1 is the obstacle's."""
        return (commands[:, 0] - self.curve(0.0, 0.0, times_s)[:, 0]) / ASIDE

    def infer(self, position: Array, now_s: float, remaining: RemainingActions | None) -> Array:
        """A chunk whose row 0 is meant for the next step; continues ``remaining`` if given."""
        means, logits = self._modes(position, now_s)
        shape = (1, self._horizon, means.shape[2])
        noise = torch.randn(shape, generator=self._generator, dtype=torch.float64)

        def velocity(x: Tensor, t: float) -> Tensor:
            return mixture_velocity(x, t, means, logits, self._spread)

        times = flow.euler_times(STEPS)
        if remaining is None:
            chunk = flow.euler(velocity, noise, times)
        else:
            onward = self._continuation(remaining, shape)
            chunk = onward.integrate(velocity, noise, times)
        return chunk[0].numpy() * SCALE + self._home

    def _modes(self, position: Array, now_s: float) -> tuple[Tensor, Tensor]:
        """Means (K, H, A) in model space, and log weights (K,)."""
        rows_s = self._dt * np.arange(1, self._horizon + 1)
        # Like a critically damped joint that starts with the velocity of the trajectory.
        fading = ((1.0 + rows_s / RETURN_S) * np.exp(-rows_s / RETURN_S))[:, None]
        means, logits = [], []
        for side in (-1.0, 1.0):
            for lag_s in LAGS_S:
                rows = self.curve(side, lag_s, now_s + rows_s)
                off = position - self.curve(side, lag_s, np.array([now_s]))[0]
                means.append((rows + fading * off - self._home) / SCALE)
                logits.append(-0.5 * float(np.sum((off / DISCERNED) ** 2)))
        return torch.from_numpy(np.array(means)), torch.tensor(logits, dtype=torch.float64)

    def _continuation(
        self, remaining: RemainingActions, shape: tuple[int, int, int]
    ) -> Continuation:
        target = np.zeros(shape)
        rows = len(remaining.actions)
        target[0, :rows] = (remaining.actions - self._home) / SCALE
        executed = torch.ones(shape[2], dtype=torch.bool)
        return continuation(
            torch.from_numpy(target), executed, remaining.delay, rows, remaining.options
        )


class Spread:
    """Covariance over the H rows of a joint within a mode, in model space.

    ``directions`` (H, H) are its eigenvectors, columns, and ``variances`` (H,) its eigenvalues.
    """

    def __init__(self, horizon: int, dt_s: float) -> None:
        rows_s = dt_s * torch.arange(1, horizon + 1, dtype=torch.float64)
        free = 1.0 - torch.exp(-rows_s / RETURN_S)  # not yet at the start of the chunk
        apart = (rows_s[:, None] - rows_s[None, :]) / STRAY_S
        smooth = STRAY**2 * torch.exp(-0.5 * apart**2) * free[:, None] * free[None, :]
        covariance = smooth + JERKY**2 * torch.eye(horizon, dtype=torch.float64)
        self.variances, self.directions = torch.linalg.eigh(covariance / SCALE**2)


def mixture_velocity(x: Tensor, t: float, means: Tensor, logits: Tensor, spread: Spread) -> Tensor:
    """E[noise - actions | x_t = x] (B, H, D) for actions from a mixture of Gaussians.

    means (K, H, D), logits (K,). Given mode k, x is Gaussian around (1 - t) m_k with covariance
    (1 - t)^2 C + t^2 I over the rows of a joint, which the directions of C make diagonal.
    """
    c = spread.variances[:, None]
    total = (1 - t) ** 2 * c + t**2
    away = spread.directions.T @ (x[:, None] - (1 - t) * means)  # (B, K, H, D)
    evidence = logits - 0.5 * (away.square() / total).sum((2, 3))
    weights = evidence.softmax(dim=1)[..., None, None]
    noise_less_straying = spread.directions @ ((t - (1 - t) * c) / total * away)
    return (weights * (noise_less_straying - means)).sum(1)
