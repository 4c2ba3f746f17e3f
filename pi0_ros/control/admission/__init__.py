"""What may move the robot: one admission for chunks, one for teleoperation commands."""

from __future__ import annotations

from pi0_ros.control.admission.chunk import ChunkAdmission
from pi0_ros.control.admission.refusal import Refusal, RefusalRule
from pi0_ros.control.admission.teleop import TeleopAdmission

__all__ = ["ChunkAdmission", "Refusal", "RefusalRule", "TeleopAdmission"]
