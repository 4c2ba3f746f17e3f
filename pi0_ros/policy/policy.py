"""What every backend offers."""

from __future__ import annotations

from typing import Protocol

from pi0_ros.policy.types import Chunk, Observation, RemainingActions


class Policy(Protocol):
    """A loaded checkpoint, ready for one embodiment. One caller at a time."""

    @property
    def checkpoint_id(self) -> str:
        """Name and short content hash of the checkpoint."""

    @property
    def trained(self) -> bool:
        """Whether the weights were trained; random ones move the robot at random."""

    @property
    def image_size(self) -> int:
        """Side of the views the model takes [pixels]."""

    @property
    def can_continue(self) -> bool:
        """Whether :meth:`infer` can make a chunk that continues another one."""

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        """Compute a chunk, one that continues ``remaining`` if given.

        Raises :class:`~pi0_ros.policy.PolicyError` rather than guess.
        """
