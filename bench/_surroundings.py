"""Simulates the nodes around a chunk_executor: robot, camera_sync and policy."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Duration, Time
from rclpy.node import Node
from sensor_msgs.msg import JointState

from pi0_msgs.msg import ActionChunk, ExecutorStatus, Observation
from pi0_ros.embodiment import Embodiment
from pi0_ros.messages import message_class
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS

#: Bytes of three views at the model's resolution.
_PIXELS = 3 * 224 * 224 * 3


class Surroundings(Node):
    """Sends joint states, full-size observations and chunks; subscribes to the outputs."""

    def __init__(self, robot: Embodiment) -> None:
        super().__init__("surroundings")
        self.robot = robot
        self.statuses: list[ExecutorStatus] = []
        self.commands = 0
        self._sequence = 0
        self._joints = {
            topic: (self.create_publisher(JointState, topic, SENSOR_QOS), message)
            for topic, message in joint_messages(robot).items()
        }
        self._observation = Observation(pixels=array("B", bytes(_PIXELS)))
        self._observations = self.create_publisher(Observation, "observation", COMMAND_QOS)
        self._chunks = self.create_publisher(ActionChunk, "action_chunk", COMMAND_QOS)
        self.create_subscription(
            ExecutorStatus, "executor_status", self.statuses.append, LATCHED_QOS
        )
        for controller in robot.controllers:
            kind = message_class(controller.message_type)
            self.create_subscription(kind, controller.topic, self._on_command, 10, raw=True)
        rates = robot.rates
        self.create_timer(1.0 / rates.joint_state_hz, self._send_joints)
        self.create_timer(1.0 / rates.chunk_hz, self._send_observation)
        self.create_timer(rates.execution_steps / rates.chunk_hz, self._send_chunk)

    def _on_command(self, _data: bytes) -> None:
        self.commands += 1

    def _send_joints(self) -> None:
        stamp = self.get_clock().now().to_msg()
        for publisher, message in self._joints.values():
            message.header.stamp = stamp
            publisher.publish(message)

    def _send_observation(self) -> None:
        self._observation.header.stamp = self.get_clock().now().to_msg()
        self._observations.publish(self._observation)

    def _send_chunk(self) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self._chunks.publish(chunk_message(self.robot, now_ns, self._sequence))
        self._sequence += 1


def joint_messages(robot: Embodiment) -> dict[str, JointState]:
    """The home pose, once per joint-state topic."""
    home = {d.state: d.home for d in robot.action if d.state}
    messages: dict[str, JointState] = {}
    for dimension in robot.state:
        message = messages.setdefault(dimension.topic, JointState())
        value = home.get(dimension.name, 0.0)
        message.name.append(dimension.joint)
        message.position.append((value - dimension.offset) / dimension.scale)
        message.velocity.append(0.0)
        message.effort.append(0.0)
    return messages


def chunk_message(robot: Embodiment, now_ns: int, sequence: int) -> ActionChunk:
    """A slow wave around the home pose, continuous from chunk to chunk."""
    stamp = Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9)
    rates = robot.rates
    times_s = now_ns % 10**12 * 1e-9 + np.arange(rates.horizon) / rates.chunk_hz
    wave = 0.05 * np.sin(times_s)[:, None] * (robot.limits.upper - robot.limits.lower)
    rows = np.clip(robot.home + wave, robot.limits.lower, robot.limits.upper)
    message = ActionChunk(
        step_duration=Duration(nanosec=round(1e9 / rates.chunk_hz)),
        action_names=list(robot.action_names),
        horizon=rates.horizon,
        data=array("f", rows.astype(np.float32).tobytes()),
        observation_stamp=stamp,
        sequence=sequence,
        source_id="bench",
        embodiment=robot.name,
        checkpoint_id="bench",
    )
    message.header.stamp = stamp
    return message
