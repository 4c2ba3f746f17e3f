"""LeRobot v3.0 datasets: conversion from episode bags, reading, editing, viewing, export to bags.

``format`` reads and writes datasets and uses ``video``. ``convert`` (bags to a dataset) uses
``format``, ``video`` and ``lock``. ``export`` (a dataset to bags) and ``view`` use only ``format``;
``edit`` uses ``format`` and ``lock``.
"""

from __future__ import annotations

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.episode import Episode, Frame
from pi0_ros.dataset.format.reader import Dataset

__all__ = ["Dataset", "DatasetError", "Episode", "Frame"]
