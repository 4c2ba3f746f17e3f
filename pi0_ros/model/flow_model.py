"""The methods that π0 and π0-small share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from torch import Tensor, nn

from pi0_ros.model import flow
from pi0_ros.model.inputs import Inputs

#: The cached part of an observation.
_Prefix = TypeVar("_Prefix")


class FlowModel(nn.Module, Generic[_Prefix]):
    """A network that predicts the velocity of flow matching.

    Arguments common to its methods: ``inputs`` of B samples, state (B, D), noise and actions
    (B, H, D), time (B,). Wrong shapes raise ValueError.
    """

    def prefill(self, inputs: Inputs) -> _Prefix:
        """Computes the part of the network that depends on cameras and prompt alone."""
        raise NotImplementedError

    def sample_actions(
        self,
        prefix: _Prefix,
        state: Tensor,
        noise: Tensor,
        num_steps: int = 10,
        times: Sequence[float] | None = None,
    ) -> Tensor:
        """Normalised actions (B, H, D) by ``num_steps`` Euler steps, or those of ``times``."""
        raise NotImplementedError

    def velocity(self, inputs: Inputs, noisy_actions: Tensor, time: Tensor) -> Tensor:
        """Velocity (B, H, D), differentiable in all weights."""
        raise NotImplementedError

    def sample(
        self,
        inputs: Inputs,
        noise: Tensor,
        num_steps: int = 10,
        times: Sequence[float] | None = None,
    ) -> Tensor:
        """Normalised actions (B, H, D) from an observation and noise."""
        return self.sample_actions(self.prefill(inputs), inputs.state, noise, num_steps, times)

    def loss(self, inputs: Inputs, actions: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Squared error of the velocity per element, (B, H, D); the caller reduces it."""
        predicted = self.velocity(inputs, flow.interpolate(actions, noise, time), time)
        return (predicted - flow.target_velocity(actions, noise)).square()

    def parameter_count(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.parameters())

    def weight_bytes(self) -> int:
        """Bytes of all parameters at their present dtypes."""
        return sum(p.numel() * p.element_size() for p in self.parameters())
