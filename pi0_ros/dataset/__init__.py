"""LeRobot v3.0 datasets: made from bags, read, edited, looked at, and turned back into bags."""

from __future__ import annotations

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.content import Episode, Frame
from pi0_ros.dataset.format.reader import Dataset

__all__ = ["Dataset", "DatasetError", "Episode", "Frame"]
