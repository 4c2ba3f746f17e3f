"""A node that subscribes to the topics of the suite and fills a :class:`Recording`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import UInt8

from pi0_bringup.demo.recording import Plan, Recording
from pi0_msgs.msg import ActionChunk, ExecutorStatus, Observation
from pi0_ros.control import ExecutorState
from pi0_ros.embodiment import Embodiment, StateDimension
from pi0_ros.embodiment.packing import state_sources
from pi0_ros.messages import message_class
from pi0_ros.nodes.executor_status import ExecutorView
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS
from pi0_ros.stamps import S_PER_NS, nanoseconds
from pi0_ros.state_sources import JointReading, StateSource

#: Columns of the contact sheet.
FRAMES = 8
# Joint states may arrive at several hundred hertz; the plot does not need all of them.
_JOINT_PERIOD_S = 0.015


class Monitor(Node):
    """Records from the first executed step on.

    The policy may be ready before the executor knows the robot's pose. Chunks that were refused
    until then are not counted. ``state`` and ``reason`` are those of the executor's newest status,
    and empty before the first.
    """

    def __init__(self, embodiment: Embodiment, duration_s: float) -> None:
        super().__init__("demo_monitor")
        self.recording = Recording(duration_s=duration_s)
        self.state = ""
        self.reason = ""
        self._robot = embodiment
        self._zero_ns: int | None = None
        self._refused_before: int | None = None
        self._wall_zero_s = 0.0
        self._next_joints_s: dict[str, float] = {}
        # The first chunk precedes the first executed step, so it is kept until that time is known.
        self._chunks: list[ActionChunk] = []
        self.create_subscription(ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS)
        self.create_subscription(ActionChunk, "action_chunk", self._on_chunk, COMMAND_QOS)
        self.create_subscription(Observation, "observation", self._on_observation, COMMAND_QOS)
        self.create_subscription(UInt8, "mujoco_robot/reward", self._on_reward, LATCHED_QOS)
        by_topic: dict[str, list[StateDimension]] = {}
        for dimension in embodiment.state:
            by_topic.setdefault(dimension.topic, []).append(dimension)
        for topic, source in state_sources(embodiment).items():
            self._subscribe_joints(topic, source, by_topic[topic])

    def _subscribe_joints(
        self, topic: str, source: StateSource, dimensions: list[StateDimension]
    ) -> None:
        kind = message_class(source.message_type)

        def on_bytes(data: bytes) -> None:
            now_s = time.monotonic()
            if self._zero_ns is None or now_s < self._next_joints_s.get(topic, 0.0):
                return
            self._next_joints_s[topic] = now_s + _JOINT_PERIOD_S
            message: Any = deserialize_message(data, kind)
            self._on_joints(message.header.stamp, source.read(message), dimensions)

        self.create_subscription(kind, topic, on_bytes, SENSOR_QOS, raw=True)

    def _since_start_s(self, stamp: Any) -> float:
        assert self._zero_ns is not None
        return (nanoseconds(stamp) - self._zero_ns) * S_PER_NS

    def _on_status(self, message: ExecutorStatus) -> None:
        view = ExecutorView.from_message(message)
        self.state, self.reason = view.state.name.lower(), view.reason
        if self._refused_before is None:
            if view.state in (ExecutorState.INACTIVE, ExecutorState.WAITING):
                return
            self._refused_before = view.chunks_refused
        executing = view.state is ExecutorState.EXECUTING
        if self._zero_ns is None:
            if not executing:
                return
            self._zero_ns = nanoseconds(message.header.stamp)
            self._wall_zero_s = time.monotonic()
            self._place_chunks()
        refused = view.chunks_refused - self._refused_before
        self.recording.last = replace(view, chunks_refused=refused)
        self.recording.wall_s = time.monotonic() - self._wall_zero_s
        ticks = self.recording.ticks
        ticks.time_s.append(self._since_start_s(message.header.stamp))
        ticks.executing.append(executing)
        ticks.chunk.append(view.chunk_sequence)
        ticks.command.append(np.array(view.command))

    def _on_chunk(self, message: ActionChunk) -> None:
        stages = dict(zip(message.stage_names, message.stage_ms, strict=True))
        self._chunks.append(message)
        if self._zero_ns is not None:
            self._place_chunks()
        self.recording.inference_ms.append(stages.get("total", sum(stages.values())))

    def _place_chunks(self) -> None:
        for message in self._chunks:
            columns = [message.action_names.index(name) for name in self._robot.action_names]
            actions = np.array(message.data, np.float64).reshape(message.horizon, -1)
            self.recording.plans[message.sequence] = Plan(
                time_s=self._since_start_s(message.header.stamp),
                step_s=nanoseconds(message.step_duration) * S_PER_NS,
                actions=actions[:, columns],
            )
        self._chunks.clear()

    def _on_observation(self, message: Observation) -> None:
        if self._zero_ns is None:
            return
        recording = self.recording
        recording.observation_age_s.append(message.age_s)
        recording.observation_skew_s.append(message.skew_s)
        time_s = max(0.0, self._since_start_s(message.header.stamp))
        taken = len(recording.frames)
        if taken < FRAMES and time_s >= taken * recording.duration_s / FRAMES:
            views = sum(message.slot_mask)
            pixels = np.frombuffer(message.pixels, np.uint8).copy()
            shape = (views, message.height, message.width, 3)
            recording.frames.append((time_s, pixels.reshape(shape)))

    def _on_joints(
        self, stamp: Any, reading: JointReading, dimensions: list[StateDimension]
    ) -> None:
        time_s = self._since_start_s(stamp)
        index = {name: i for i, name in enumerate(reading.names)}
        for dimension in dimensions:
            values = getattr(reading, dimension.field)
            i = index.get(dimension.joint)
            if i is not None and i < len(values):
                value = dimension.scale * values[i] + dimension.offset
                self.recording.measured.setdefault(dimension.name, []).append((time_s, value))

    def _on_reward(self, message: UInt8) -> None:
        self.recording.reward = max(message.data, self.recording.reward or 0)
