"""The topics of a robot's drivers: commands in, joint states and camera frames out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from pi0_bringup.drivers.commands import CommandError, Commands
from pi0_bringup.drivers.images import EncodedFrame
from pi0_bringup.drivers.readings import JointReading
from pi0_bringup.drivers.trajectory import Trajectory
from pi0_ros.embodiment import Camera, Controller, ControllerKind, Embodiment
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS
from pi0_ros.nodes.time_messages import time_message
from pi0_ros.stamps import S_PER_NS, nanoseconds

_LOG_PERIOD_S = 2.0


class CommandSubscriptions:
    """Feeds :class:`Commands` from the command topics of an embodiment.

    ``now_s`` is the robot's own time. A refused command is logged, throttled.
    """

    def __init__(
        self, node: Node, embodiment: Embodiment, commands: Commands, now_s: Callable[[], float]
    ) -> None:
        self._node = node
        self._commands = commands
        self._now_s = now_s
        decoders: dict[ControllerKind, tuple[type, Callable[[Controller, Any], None]]] = {
            ControllerKind.FORWARD_POSITION: (Float64MultiArray, self._on_array),
            ControllerKind.GRIPPER: (Float64MultiArray, self._on_array),
            ControllerKind.JOINT_TRAJECTORY: (JointTrajectory, self._on_trajectory),
            ControllerKind.TWIST: (TwistStamped, self._on_twist),
        }
        self._subscriptions = [
            node.create_subscription(
                decoders[controller.kind][0],
                controller.topic,
                self._guarded(controller, decoders[controller.kind][1]),
                COMMAND_QOS,
            )
            for controller in embodiment.controllers
        ]

    def destroy(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _guarded(
        self, controller: Controller, decode: Callable[[Controller, Any], None]
    ) -> Callable[[Any], None]:
        def callback(message: Any) -> None:
            try:
                decode(controller, message)
            except CommandError as error:
                self._node.get_logger().warning(
                    f"command refused: {error}", throttle_duration_sec=_LOG_PERIOD_S
                )

        return callback

    def _on_array(self, controller: Controller, message: Float64MultiArray) -> None:
        self._commands.positions(controller, message.data)

    def _on_trajectory(self, controller: Controller, message: JointTrajectory) -> None:
        now_s = self._now_s()
        widths = {len(p.positions) for p in message.points}
        if widths - {len(message.joint_names)}:
            raise self._commands.refuse(
                controller,
                f"points of {sorted(widths)} positions for {len(message.joint_names)} joint names",
            )
        stamp_ns = nanoseconds(message.header.stamp)
        begin_s = stamp_ns * S_PER_NS if stamp_ns else now_s
        with_velocity = all(len(p.velocities) == len(p.positions) for p in message.points)
        waypoints = Trajectory(
            times_s=np.array([begin_s + _seconds(p.time_from_start) for p in message.points]),
            positions=np.array([p.positions for p in message.points]),
            velocities=(
                np.array([p.velocities for p in message.points]) if with_velocity else None
            ),
        )
        self._commands.trajectory(controller, message.joint_names, waypoints, now_s)

    def _on_twist(self, controller: Controller, message: TwistStamped) -> None:
        axes = {
            f"{part}.{axis}": getattr(getattr(message.twist, part), axis)
            for part in ("linear", "angular")
            for axis in ("x", "y", "z")
        }
        self._commands.twist(controller, axes, self._now_s())


def _seconds(duration: Any) -> float:
    return float(duration.sec) + float(duration.nanosec) * S_PER_NS


class JointStatePublishers:
    """One publisher for each joint-state topic, reliable as ros2_control's broadcaster is."""

    def __init__(self, node: Node, topics: Iterable[str]) -> None:
        self._node = node
        self._publishers = {t: node.create_publisher(JointState, t, COMMAND_QOS) for t in topics}

    def publish(self, stamp_ns: int, readings: Mapping[str, JointReading]) -> None:
        """Send the reading of each topic."""
        stamp = time_message(stamp_ns)
        for topic, reading in readings.items():
            message = JointState()
            message.header.stamp = stamp
            message.name = list(reading.names)
            message.position = reading.position.tolist()
            message.velocity = reading.velocity.tolist()
            message.effort = reading.effort.tolist()
            self._publishers[topic].publish(message)

    def destroy(self) -> None:
        """Stop offering the topics."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers = {}


class CameraPublishers:
    """One publisher for each camera, of the message type the embodiment states."""

    def __init__(self, node: Node, cameras: Iterable[Camera]) -> None:
        self._node = node
        self._publishers = {
            camera.name: node.create_publisher(_image_type(camera), camera.topic, SENSOR_QOS)
            for camera in cameras
        }

    def publish(self, camera: Camera, stamp_ns: int, frame: EncodedFrame) -> None:
        """Send one frame, captured at the stamp."""
        message: Image | CompressedImage
        if _image_type(camera) is CompressedImage:
            message = CompressedImage(format=camera.encoding)
        else:
            message = Image(
                height=frame.height, width=frame.width, encoding=camera.encoding, step=frame.step
            )
        message.header.stamp = time_message(stamp_ns)
        message.header.frame_id = f"{camera.name}_color_optical_frame"
        message.data = frame.data
        self._publishers[camera.name].publish(message)

    def destroy(self) -> None:
        """Stop offering the topics."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers = {}


def _image_type(camera: Camera) -> type[Image] | type[CompressedImage]:
    return CompressedImage if camera.message_type.endswith("CompressedImage") else Image
