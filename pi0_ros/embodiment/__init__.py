"""Robot types as data: YAML in, frozen :class:`Embodiment` out."""

from __future__ import annotations

from pi0_ros.controllers import ControllerPacker, StopBehaviour
from pi0_ros.embodiment.errors import EmbodimentError, JointStateError
from pi0_ros.embodiment.loader import available, load
from pi0_ros.embodiment.packing import (
    JointStatePacker,
    action_slots,
    controller_packer,
    controller_packers,
    measured_action,
    pad_action,
    pad_state,
    state_slots,
    unpad_action,
    unpad_state,
)
from pi0_ros.embodiment.types import (
    CAMERA_SLOTS,
    CHECKPOINT_WIDTH,
    PAPER_WIDTH,
    ActionDimension,
    Camera,
    Controller,
    Embodiment,
    LeaderDimension,
    LimitArrays,
    Limits,
    Rates,
    Slots,
    StateDimension,
    SyncTolerances,
    Teleoperation,
)

__all__ = [
    "CAMERA_SLOTS",
    "CHECKPOINT_WIDTH",
    "PAPER_WIDTH",
    "ActionDimension",
    "Camera",
    "Controller",
    "ControllerPacker",
    "Embodiment",
    "EmbodimentError",
    "JointStateError",
    "JointStatePacker",
    "LeaderDimension",
    "LimitArrays",
    "Limits",
    "Rates",
    "Slots",
    "StateDimension",
    "StopBehaviour",
    "SyncTolerances",
    "Teleoperation",
    "action_slots",
    "available",
    "controller_packer",
    "controller_packers",
    "load",
    "measured_action",
    "pad_action",
    "pad_state",
    "state_slots",
    "unpad_action",
    "unpad_state",
]
