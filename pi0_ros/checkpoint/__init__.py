"""Checkpoints on disk: weights, what they are for, and whether they fit a robot."""

from pi0_ros.checkpoint.compatibility import check as check_compatibility
from pi0_ros.checkpoint.convert import Supplement, convert, gaps
from pi0_ros.checkpoint.create import create_untrained
from pi0_ros.checkpoint.detect import Detected, detect, read
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.found import Found, FoundStatistics, Layout
from pi0_ros.checkpoint.manifest import Manifest, Normalisation, Statistics
from pi0_ros.checkpoint.openpi import load_openpi
from pi0_ros.checkpoint.store import LoadedCheckpoint, load, load_manifest, save
from pi0_ros.checkpoint.tokenizer_files import find_tokenizer
from pi0_ros.checkpoint.verify import Comparison, verify

__all__ = [
    "CheckpointError",
    "Comparison",
    "Detected",
    "Found",
    "FoundStatistics",
    "Layout",
    "LoadedCheckpoint",
    "Manifest",
    "Normalisation",
    "Statistics",
    "Supplement",
    "check_compatibility",
    "convert",
    "create_untrained",
    "detect",
    "find_tokenizer",
    "gaps",
    "load",
    "load_manifest",
    "load_openpi",
    "read",
    "save",
    "verify",
]
