"""Conversion of a frame's values to the messages of a robot's drivers and controllers."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rosbags.typesys import Stores, get_typestore

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.embodiment import Camera, ControllerKind, Embodiment
from pi0_ros.embodiment.packing import ControllerPacker, controller_packer
from pi0_ros.stamps import NS_PER_S, sec_nanosec

STORE = get_typestore(Stores.ROS2_JAZZY)

_DOUBLES = np.dtype(np.float64)


def image_message(camera: Camera, stamp_ns: int, pixels: NDArray[np.uint8]) -> Any:
    """RGB pixels (H, W, 3) as the message that the camera would send."""
    header = _header(stamp_ns, camera.name)
    if camera.message_type == "sensor_msgs/msg/CompressedImage":
        data = _compressed(pixels, camera.encoding)
        kind = STORE.types["sensor_msgs/msg/CompressedImage"]
        return kind(header=header, format=camera.encoding, data=data)
    ordered = _ORDERS[camera.encoding](pixels)
    height, width = pixels.shape[:2]
    return STORE.types["sensor_msgs/msg/Image"](
        header=header,
        height=height,
        width=width,
        encoding=camera.encoding,
        is_bigendian=0,
        step=ordered.size // height,
        data=np.ascontiguousarray(ordered).reshape(-1),
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
    """A state (S,) as one JointState for each joint-state topic of the embodiment."""
    raw: dict[str, dict[str, dict[str, float]]] = {}
    for dimension, value in zip(embodiment.state, state, strict=True):
        fields = raw.setdefault(dimension.topic, {})
        number = (float(value) - dimension.offset) / dimension.scale
        fields.setdefault(dimension.joint, {})[dimension.field] = number
    kind = STORE.types["sensor_msgs/msg/JointState"]
    messages = {}
    for topic, joints in raw.items():
        used = {field for values in joints.values() for field in values}
        arrays = {
            field: np.array([values.get(field, 0.0) for values in joints.values()], _DOUBLES)
            if field in used
            else np.empty(0, _DOUBLES)
            for field in ("position", "velocity", "effort")
        }
        messages[topic] = kind(header=_header(stamp_ns, ""), name=list(joints), **arrays)
    return messages


class CommandMessages:
    """Makes the message of every controller for an action (A,)."""

    def __init__(self, embodiment: Embodiment) -> None:
        self._period_ns = round(NS_PER_S / embodiment.rates.control_hz)
        self._packers = [controller_packer(embodiment, each) for each in embodiment.controllers]

    def make(self, stamp_ns: int, action: NDArray[Any]) -> Mapping[str, Any]:
        """Messages by topic."""
        values = np.asarray(action, dtype=np.float64)
        return {
            packer.controller.topic: _MAKERS[packer.controller.kind](
                self, packer, stamp_ns, packer.raw(values)
            )
            for packer in self._packers
        }

    def _positions(self, _packer: ControllerPacker, _stamp_ns: int, raw: NDArray[Any]) -> Any:
        layout = STORE.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
        return STORE.types["std_msgs/msg/Float64MultiArray"](layout=layout, data=raw)

    def _trajectory(self, packer: ControllerPacker, _stamp_ns: int, raw: NDArray[Any]) -> Any:
        empty = np.empty(0, _DOUBLES)
        duration = STORE.types["builtin_interfaces/msg/Duration"](
            sec=self._period_ns // NS_PER_S, nanosec=self._period_ns % NS_PER_S
        )
        point = STORE.types["trajectory_msgs/msg/JointTrajectoryPoint"](
            positions=raw,
            velocities=np.zeros_like(raw),
            accelerations=empty,
            effort=empty,
            time_from_start=duration,
        )
        return STORE.types["trajectory_msgs/msg/JointTrajectory"](
            header=_header(0, ""), joint_names=list(packer.joints), points=[point]
        )

    def _twist(self, packer: ControllerPacker, stamp_ns: int, raw: NDArray[Any]) -> Any:
        axes = {
            f"{group}.{axis}": 0.0 for group in ("linear", "angular") for axis in ("x", "y", "z")
        }
        axes |= dict(zip(packer.joints, map(float, raw), strict=True))
        vector = STORE.types["geometry_msgs/msg/Vector3"]
        linear, angular = (
            vector(**{axis: axes[f"{group}.{axis}"] for axis in ("x", "y", "z")})
            for group in ("linear", "angular")
        )
        return STORE.types["geometry_msgs/msg/TwistStamped"](
            header=_header(stamp_ns, packer.controller.frame_id),
            twist=STORE.types["geometry_msgs/msg/Twist"](linear=linear, angular=angular),
        )


_MAKERS: Mapping[
    ControllerKind, Callable[[CommandMessages, ControllerPacker, int, NDArray[Any]], Any]
] = {
    ControllerKind.FORWARD_POSITION: CommandMessages._positions,
    ControllerKind.GRIPPER: CommandMessages._positions,
    ControllerKind.JOINT_TRAJECTORY: CommandMessages._trajectory,
    ControllerKind.TWIST: CommandMessages._twist,
}

_ORDERS: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "rgb8": lambda pixels: pixels,
    "bgr8": lambda pixels: pixels[..., ::-1],
    "rgba8": lambda pixels: np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]),
    "bgra8": lambda pixels: np.dstack(
        [pixels[..., ::-1], np.full(pixels.shape[:2], 255, np.uint8)]
    ),
    "mono8": lambda pixels: pixels[..., 0],
}


def _compressed(pixels: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if encoding == "png":
        image.save(buffer, "PNG", compress_level=1)
    elif encoding == "jpeg":
        image.save(buffer, "JPEG", quality=95)
    else:
        raise DatasetError(f"encoding {encoding!r} of a compressed image is neither jpeg nor png")
    return np.frombuffer(buffer.getvalue(), np.uint8)


def _header(stamp_ns: int, frame_id: str) -> Any:
    sec, nanosec = sec_nanosec(stamp_ns)
    stamp = STORE.types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    return STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)
