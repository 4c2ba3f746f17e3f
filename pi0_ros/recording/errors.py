"""The error of this package."""

from __future__ import annotations


class RecordingError(ValueError):
    """A bag or a request that cannot be used; the message names the value and the fix."""
