"""Which frames and joint states belong together, and pixels at the model's size."""

from __future__ import annotations

from pi0_ros.sync.alignment import Aligner
from pi0_ros.sync.report import SyncReport, SyncSummary
from pi0_ros.sync.resize import fit_inside, fits_aspect, letterbox, resize_with_pad
from pi0_ros.sync.streams import Fault, Refusal, Stamped, Stream
from pi0_ros.sync.types import AlignedSet, CameraStream

__all__ = [
    "AlignedSet",
    "Aligner",
    "CameraStream",
    "Fault",
    "Refusal",
    "Stamped",
    "Stream",
    "SyncReport",
    "SyncSummary",
    "fit_inside",
    "fits_aspect",
    "letterbox",
    "resize_with_pad",
]
