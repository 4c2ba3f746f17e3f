"""Conversion of a frame's values to the messages of a robot's drivers and controllers."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from pi0_ros.camera_encodings import CAMERA_ENCODINGS, COMPRESSED_IMAGE
from pi0_ros.controllers import CONTROLLER_KINDS
from pi0_ros.embodiment import Camera, Embodiment
from pi0_ros.embodiment.packing import controller_packer, state_sources
from pi0_ros.stamps import sec_nanosec
from pi0_ros.state_sources import JointReading

STORE = get_typestore(Stores.ROS2_JAZZY)


def image_message(camera: Camera, stamp_ns: int, pixels: NDArray[np.uint8]) -> Any:
    """RGB pixels (H, W, 3) as the message that the camera would send."""
    header = _header(stamp_ns, camera.name)
    frame = CAMERA_ENCODINGS.get(camera.encoding).encode(pixels)
    data = np.frombuffer(frame.data, np.uint8)
    kind = STORE.types[camera.message_type]
    if camera.message_type == COMPRESSED_IMAGE:
        return kind(header=header, format=camera.encoding, data=data)
    return kind(
        header=header,
        height=frame.height,
        width=frame.width,
        encoding=camera.encoding,
        is_bigendian=0,
        step=frame.step,
        data=data,
    )


def depth_message(frame_id: str, stamp_ns: int, pixels: NDArray[np.uint16]) -> Any:
    """Depth (H, W) as a 16UC1 image."""
    height, width = pixels.shape
    return STORE.types["sensor_msgs/msg/Image"](
        header=_header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="16UC1",
        is_bigendian=0,
        step=2 * width,
        data=np.ascontiguousarray(pixels.astype("<u2")).view(np.uint8).reshape(-1),
    )


def joint_messages(embodiment: Embodiment, stamp_ns: int, state: NDArray[Any]) -> Mapping[str, Any]:
    """A message per topic that measures the robot, for a state (S,)."""
    raw: dict[str, dict[str, dict[str, float]]] = {}
    for dimension, value in zip(embodiment.state, state, strict=True):
        fields = raw.setdefault(dimension.topic, {})
        number = (float(value) - dimension.offset) / dimension.scale
        fields.setdefault(dimension.joint, {})[dimension.field] = number
    messages = {}
    for topic, source in state_sources(embodiment).items():
        joints = raw[topic]
        used = {field for values in joints.values() for field in values}
        columns = {field: [values.get(field, 0.0) for values in joints.values()] for field in used}
        message = source.make(JointReading(list(joints), **columns))
        message.header.stamp.sec, message.header.stamp.nanosec = sec_nanosec(stamp_ns)
        messages[topic] = _for_bag(message)
    return messages


class CommandMessages:
    """Makes the message of every controller for an action (A,)."""

    def __init__(self, embodiment: Embodiment) -> None:
        self._at_rest = np.zeros(len(embodiment.action))
        self._writers = [
            (each, CONTROLLER_KINDS.get(each.kind).writer(controller_packer(embodiment, each)))
            for each in embodiment.controllers
        ]

    def make(self, stamp_ns: int, action: NDArray[Any]) -> Mapping[str, Any]:
        """Messages by topic."""
        values = np.asarray(action, dtype=np.float64)
        return {
            controller.topic: _for_bag(writer.fill(values, self._at_rest, stamp_ns))
            for controller, writer in self._writers
        }


def _for_bag(value: Any) -> Any:
    """A message of rclpy, or a value of one of its fields, as rosbags writes it."""
    if hasattr(value, "get_fields_and_field_types"):
        package = type(value).__module__.split(".")[0]
        made = STORE.types[f"{package}/msg/{type(value).__name__}"]
        names = value.get_fields_and_field_types()
        return made(**{name: _for_bag(getattr(value, name)) for name in names})
    if isinstance(value, array):
        return np.array(value)
    if isinstance(value, list):
        return [_for_bag(each) for each in value]
    return value


def _header(stamp_ns: int, frame_id: str) -> Any:
    sec, nanosec = sec_nanosec(stamp_ns)
    stamp = STORE.types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    return STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)
