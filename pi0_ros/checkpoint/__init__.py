"""Checkpoints on disk: weights, what they are for, and whether they fit a robot."""

from pi0_ros.checkpoint.compatibility import check as check_compatibility
from pi0_ros.checkpoint.contents import CheckpointContents, Layout, StoredStatistics
from pi0_ros.checkpoint.convert import ConversionOptions, convert, missing_settings
from pi0_ros.checkpoint.create import create_untrained
from pi0_ros.checkpoint.detect import Detected, detect, read
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.manifest import CheckpointManifest, Normalisation, Statistics
from pi0_ros.checkpoint.openpi import load_openpi
from pi0_ros.checkpoint.store import LoadedCheckpoint, load, load_manifest, save
from pi0_ros.checkpoint.tokenizer_files import find_tokenizer
from pi0_ros.checkpoint.verify import Comparison, verify

__all__ = [
    "CheckpointContents",
    "CheckpointError",
    "CheckpointManifest",
    "Comparison",
    "ConversionOptions",
    "Detected",
    "Layout",
    "LoadedCheckpoint",
    "Normalisation",
    "Statistics",
    "StoredStatistics",
    "check_compatibility",
    "convert",
    "create_untrained",
    "detect",
    "find_tokenizer",
    "load",
    "load_manifest",
    "load_openpi",
    "missing_settings",
    "read",
    "save",
    "verify",
]
