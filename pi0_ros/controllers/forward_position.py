"""``forward_position``: positions for a forward_command_controller."""

from __future__ import annotations

from typing import Any

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.controllers.kind import CommandWriter, ControllerKind, doubles
from pi0_ros.controllers.packer import ControllerPacker
from pi0_ros.messages import message_class


class ForwardPosition(ControllerKind):
    """std_msgs/Float64MultiArray in controller order and driver units."""

    name = "forward_position"
    message_type = "std_msgs/msg/Float64MultiArray"

    def writer(self, packer: ControllerPacker) -> CommandWriter:
        return _Writer(packer, message_class(self.message_type)())

    def read(self, packer: ControllerPacker, message: Any) -> FloatArray:
        return np.asarray(message.data, dtype=np.float64)


class _Writer:
    def __init__(self, packer: ControllerPacker, message: Any) -> None:
        self._packer, self._message = packer, message

    def fill(self, command: FloatArray, _velocity: FloatArray, _now_ns: int) -> Any:
        """Positions only; the controller forwards them as they are."""
        self._message.data = doubles(self._packer.raw(command))
        return self._message
