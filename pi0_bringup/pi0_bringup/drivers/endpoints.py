"""The topics of a robot's drivers: commands in, joint states and camera frames out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from pi0_bringup.drivers.commands import Commands
from pi0_ros.camera_encodings import COMPRESSED_IMAGE, EncodedFrame
from pi0_ros.controllers import CONTROLLER_KINDS, CommandError
from pi0_ros.embodiment import Camera, Controller, Embodiment
from pi0_ros.embodiment.packing import controller_packer, state_sources
from pi0_ros.messages import message_class
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS
from pi0_ros.nodes.time_messages import time_message
from pi0_ros.state_sources import JointReading

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
        self._ends = [
            CONTROLLER_KINDS.get(controller.kind).open_input(
                node,
                controller_packer(embodiment, controller),
                COMMAND_QOS,
                partial(self._on_message, controller),
            )
            for controller in embodiment.controllers
        ]

    def destroy(self) -> None:
        """Stop listening."""
        while self._ends:
            self._ends.pop()()

    def _on_message(self, controller: Controller, message: Any) -> None:
        try:
            self._commands.receive(controller, message, self._now_s())
        except CommandError as error:
            self._node.get_logger().warning(
                f"command refused: {error}", throttle_duration_sec=_LOG_PERIOD_S
            )


class JointStatePublishers:
    """One publisher for each joint-state topic, reliable like joint_state_broadcaster."""

    def __init__(self, node: Node, embodiment: Embodiment) -> None:
        self._sources = state_sources(embodiment)
        self._publishers = {
            topic: node.create_publisher(message_class(source.message_type), topic, COMMAND_QOS)
            for topic, source in self._sources.items()
        }

    def publish(self, stamp_ns: int, readings: Mapping[str, JointReading]) -> None:
        """Send the reading of each topic."""
        stamp = time_message(stamp_ns)
        for topic, reading in readings.items():
            message = self._sources[topic].make(reading)
            message.header.stamp = stamp
            self._publishers[topic].publish(message)


class CameraPublishers:
    """One publisher for each camera, of the message type the embodiment states."""

    def __init__(self, node: Node, cameras: Iterable[Camera]) -> None:
        self._publishers = {
            camera.name: node.create_publisher(
                message_class(camera.message_type), camera.topic, SENSOR_QOS
            )
            for camera in cameras
        }

    def publish(self, camera: Camera, stamp_ns: int, frame: EncodedFrame) -> None:
        """Send one frame, captured at the stamp."""
        message: Image | CompressedImage
        if camera.message_type == COMPRESSED_IMAGE:
            message = CompressedImage(format=camera.encoding)
        else:
            message = Image(
                height=frame.height, width=frame.width, encoding=camera.encoding, step=frame.step
            )
        message.header.stamp = time_message(stamp_ns)
        message.header.frame_id = f"{camera.name}_color_optical_frame"
        message.data = frame.data
        self._publishers[camera.name].publish(message)
