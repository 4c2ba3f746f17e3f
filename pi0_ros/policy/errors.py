"""Errors of the policy."""

from __future__ import annotations


class PolicyError(ValueError):
    """An observation, a checkpoint or an output that must not reach the robot."""


class IncompatibleError(PolicyError):
    """A checkpoint that does not fit this robot; ``problems`` holds one sentence per reason."""

    def __init__(self, message: str, problems: tuple[str, ...]) -> None:
        super().__init__(message)
        self.problems = problems
