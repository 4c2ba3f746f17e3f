"""The error that this package raises."""

from __future__ import annotations

from pi0_ros.recording.errors import RecordingError


class DatasetError(RecordingError):
    """A dataset, bag or option cannot be used. The message names the value and the fix."""
