"""Alignment of frames and joint states by their stamps, and pixels at the model's size."""

from __future__ import annotations

from pi0_ros.sync.alignment import Aligner
from pi0_ros.sync.observation_builder import AlignedObservation, ObservationBuilder
from pi0_ros.sync.report import SyncReport, SyncSummary
from pi0_ros.sync.resize import fit_inside, fits_aspect, letterbox, resize_with_pad
from pi0_ros.sync.timed_buffer import Fault, Stamped, SyncRefusal, TimedBuffer
from pi0_ros.sync.types import AlignedSet, CameraStream
from pi0_ros.sync.views import Canvas, Views, view_order

__all__ = [
    "AlignedObservation",
    "AlignedSet",
    "Aligner",
    "CameraStream",
    "Canvas",
    "Fault",
    "ObservationBuilder",
    "Stamped",
    "SyncRefusal",
    "SyncReport",
    "SyncSummary",
    "TimedBuffer",
    "Views",
    "fit_inside",
    "fits_aspect",
    "letterbox",
    "resize_with_pad",
    "view_order",
]
