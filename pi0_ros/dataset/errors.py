"""What this room raises."""

from __future__ import annotations

from pi0_ros.recording.errors import RecordingError


class DatasetError(RecordingError):
    """A dataset, or what should go into one, that cannot be used; names the value and the fix."""
