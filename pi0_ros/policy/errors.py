"""Why a policy refuses."""

from __future__ import annotations


class PolicyError(ValueError):
    """An observation, a checkpoint or an output that must not reach the robot."""


class IncompatibleError(PolicyError):
    """A checkpoint that is not for this robot; ``problems`` are sentences, one per reason."""

    def __init__(self, message: str, problems: tuple[str, ...]) -> None:
        super().__init__(message)
        self.problems = problems
