"""The error of the checkpoint package."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file, the value and the fix."""
