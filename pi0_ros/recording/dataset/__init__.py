"""LeRobot v3.0 datasets: made from bags, read, edited, looked at, and turned back into bags."""

from __future__ import annotations

from pi0_ros.recording.dataset.content import Episode, Frame
from pi0_ros.recording.dataset.errors import DatasetError
from pi0_ros.recording.dataset.reader import Dataset

__all__ = ["Dataset", "DatasetError", "Episode", "Frame"]
