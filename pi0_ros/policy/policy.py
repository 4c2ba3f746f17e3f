"""The interface of a backend."""

from __future__ import annotations

from typing import Protocol

from pi0_ros.policy.types import Chunk, Observation, RemainingActions


class Policy(Protocol):
    """A loaded checkpoint for one embodiment. Calls must not overlap."""

    @property
    def checkpoint_id(self) -> str:
        """Name and short content hash of the checkpoint."""

    @property
    def trained(self) -> bool:
        """Whether the weights were trained; random weights move the robot at random."""

    @property
    def image_size(self) -> int:
        """Side length of the model's square views [pixels]."""

    @property
    def can_continue(self) -> bool:
        """Whether :meth:`infer` can make a chunk that continues another one."""

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        """Compute a chunk; if ``remaining`` is given, the chunk continues it.

        Raises :class:`~pi0_ros.policy.errors.PolicyError` if no valid chunk can be computed.
        """
