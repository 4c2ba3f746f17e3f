"""Checkpoints on disk: weights, what they are for, and whether they fit a robot."""

from pi0_ros.checkpoint.compatibility import check as check_compatibility
from pi0_ros.checkpoint.create import create_untrained
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.manifest import Manifest, Normalisation, Statistics
from pi0_ros.checkpoint.openpi import load_openpi
from pi0_ros.checkpoint.store import LoadedCheckpoint, load, load_manifest, save

__all__ = [
    "CheckpointError",
    "LoadedCheckpoint",
    "Manifest",
    "Normalisation",
    "Statistics",
    "check_compatibility",
    "create_untrained",
    "load",
    "load_manifest",
    "load_openpi",
    "save",
]
