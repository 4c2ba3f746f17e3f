"""The one file of a package that adds a controller kind: a driver that takes degrees."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from pi0_ros.controllers import CommandWriter, ControllerKind, ControllerPacker
from pi0_ros.messages import message_class


class LabDriver(ControllerKind):
    """std_msgs/Float32MultiArray with one angle per joint [degrees], times ``gain``."""

    name = "lab_driver"
    message_type = "std_msgs/msg/Float32MultiArray"
    options = {"gain": 1.0}  # noqa: RUF012  (declared ClassVar by the base)

    def writer(self, packer: ControllerPacker) -> CommandWriter:
        return _Writer(packer, message_class(self.message_type)())

    def read(self, packer: ControllerPacker, message: Any) -> np.ndarray:
        degrees = np.asarray(message.data, dtype=np.float64) / packer.options["gain"]
        return np.deg2rad(degrees)


class _Writer:
    def __init__(self, packer: ControllerPacker, message: Any) -> None:
        self._packer, self._message = packer, message

    def fill(self, command: np.ndarray, _velocity: np.ndarray, _now_ns: int) -> Any:
        degrees = np.rad2deg(self._packer.raw(command)) * self._packer.options["gain"]
        self._message.data = array("f", degrees)
        return self._message
