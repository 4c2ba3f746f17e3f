"""chunk_executor: the ROS edge of the control room.

Chunks, observations and joint states in; limited commands out, once per control
period. Everything that decides is in :mod:`pi0_ros.control`.
"""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from pi0_msgs.msg import ActionChunk, ExecutorStatus, Observation
from pi0_ros.control import Executor, IncomingChunk, State, Tick, Tuning
from pi0_ros.embodiment import Embodiment, available, load
from pi0_ros.nodes.commands import CommandWriter, command_writer
from pi0_ros.nodes.diagnostics import WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.executor_diagnostics import ExecutorDiagnostics, ExecutorFacts
from pi0_ros.nodes.executor_status import StatusWriter
from pi0_ros.nodes.heap import keep_freed_memory
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS, ManagedNode, run
from pi0_ros.nodes.ticking import ClockTicks, QuietCollector, SteadyTicks

_NS = 1e-9

#: Longest controlled stop; limits that need more are cut off by the final command.
_STOP_TIMEOUT_S = 3.0
#: How long the final commands may take to be acknowledged.
_ACKNOWLEDGE_S = 0.5
#: Between two log lines about refused chunks or changes of state.
_LOG_PERIOD_S = 2.0


class ChunkExecutor(ManagedNode):
    """Parameters: ``embodiment`` and the fields of :class:`pi0_ros.control.Tuning`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("chunk_executor", **options)
        self.declare_parameter("embodiment", "")
        for field in fields(Tuning):
            self.declare_parameter(field.name, field.default)
        self._entities: list[Any] = []
        self._diagnostics: DiagnosticsPublisher | None = None
        self._ticks: SteadyTicks | ClockTicks | None = None
        self._lock = threading.Lock()  # ticks and callbacks run in two threads
        self._joint_bytes: dict[str, bytes] = {}
        self._said_s: dict[str, float] = {}
        self._faults = 0
        self._last: Tick | None = None

    def setup(self) -> None:
        name = self.get_parameter("embodiment").value
        if not name:
            raise ValueError(f"embodiment is empty; give a path or one of {', '.join(available())}")
        self._robot = load(name)
        self._measured = [d.state is not None for d in self._robot.action]
        self._tuning = Tuning(**{f.name: self.get_parameter(f.name).value for f in fields(Tuning)})
        self.core = Executor(self._robot, self._tuning)
        self._status = StatusWriter(self._robot)
        self._create_outputs(self._robot)
        self._create_inputs()
        self._reader = ExecutorDiagnostics()
        self._diagnostics = DiagnosticsPublisher(
            self, self._robot.name, "executor", self._read_diagnostics
        )

    def start(self) -> None:
        self.core = Executor(self._robot, self._tuning)
        self._status = StatusWriter(self._robot)
        self._joint_bytes.clear()
        self._last = None
        self._faults = 0
        simulated = self.get_parameter("use_sim_time").value
        kind = ClockTicks if simulated else SteadyTicks
        period_ns = round(1e9 / self._robot.rates.control_hz)
        self._collector = None if simulated else QuietCollector()
        self._ticks = kind(self.get_clock(), period_ns, self._on_tick)
        self._ticks.start()

    def stop(self) -> None:
        """Brake within limits, repeat the final pose and zero, then say INACTIVE."""
        if self._ticks is None:
            return
        with self._lock:
            self.core.request_stop("the executor was deactivated")
        self._ticks.run_until(lambda: self.core.is_stopped, _STOP_TIMEOUT_S)
        self._ticks.end()
        self._ticks = None
        if self._last is not None:
            self._send(self.core.final(self._last))
        self._status_publisher.publish(self._status.fill_inactive("the executor was deactivated"))
        for publisher in (self._status_publisher, *self._command_publishers):
            publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))
        if self._collector is not None:
            self._collector.end()

    def teardown(self) -> None:
        if self._diagnostics is not None:
            self._diagnostics.destroy()
            self._diagnostics = None
        for destroy, entity in self._entities:
            destroy(entity)
        self._entities.clear()

    def _create_outputs(self, robot: Embodiment) -> None:
        self._writers: list[CommandWriter] = [command_writer(robot, c) for c in robot.controllers]
        self._command_publishers = [
            self._publisher(writer.message_type, controller.topic, COMMAND_QOS)
            for writer, controller in zip(self._writers, robot.controllers, strict=True)
        ]
        self._status_publisher = self._publisher(ExecutorStatus, "executor_status", LATCHED_QOS)

    def _create_inputs(self) -> None:
        """Observations and joint states arrive as bytes: only their arrival counts.

        Best effort, so that a slow executor never holds back camera_sync.
        """
        self._subscribe(ActionChunk, "action_chunk", self._on_chunk, COMMAND_QOS)
        self._subscribe(Observation, "observation", self._on_observation, SENSOR_QOS, raw=True)
        for topic in self.core.joints.topics:
            on_joints = partial(self._on_joints, topic)
            self._subscribe(JointState, topic, on_joints, SENSOR_QOS, raw=True)

    def _publisher(self, *arguments: Any) -> Publisher:
        publisher = self.create_publisher(*arguments)
        self._entities.append((self.destroy_publisher, publisher))
        return publisher

    def _subscribe(self, *arguments: Any, **options: Any) -> None:
        subscription = self.create_subscription(*arguments, **options)
        self._entities.append((self.destroy_subscription, subscription))

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_chunk(self, message: ActionChunk) -> None:
        if self._ticks is None:
            return
        incoming = to_incoming(message)
        with self._lock:
            refusal = self.core.offer(incoming, self._now_ns())
        if refusal is not None and self._may_say(refusal.rule.value):
            self.get_logger().warning(f"refused a chunk: {refusal.reason}")

    def _on_observation(self, data: bytes) -> None:
        with self._lock:
            self.core.observe(header_stamp_ns(data), self._now_ns())

    def _on_joints(self, topic: str, data: bytes) -> None:
        with self._lock:
            self._joint_bytes[topic] = data
            self.core.joints.heard(topic, self._now_ns())

    def _unpack_joints(self) -> None:
        """Unpack what arrived since; only the start and the 1 Hz check need the numbers."""
        while self._joint_bytes:
            topic, data = self._joint_bytes.popitem()
            joints = deserialize_message(data, JointState)
            self.core.joints.update(
                topic, joints.name, joints.position, joints.velocity, joints.effort
            )

    def _on_tick(self, deadline_ns: int, late_ns: int, missed: int) -> None:
        """One tick; whatever fails in it, the next one holds."""
        try:
            with self._lock:
                self._status.lateness.record(late_ns, missed)
                if self._last is None or self._last.state is State.WAITING:
                    self._unpack_joints()
                tick = self.core.tick(deadline_ns)
                self._send(tick)
                self._status_publisher.publish(self._status.fill(tick, self.core))
            self._say_change(tick)
            self._housekeep()
        except Exception as error:  # a robot in motion must not lose its executor
            self._faults += 1
            with self._lock:
                self.core.hold(f"fault in the tick: {error}")
            if self._may_say("fault"):
                self.get_logger().error(f"fault in the tick, holding: {error!r}")

    def _send(self, tick: Tick) -> None:
        for publishes, writer, publisher in zip(
            tick.publish, self._writers, self._command_publishers, strict=True
        ):
            if publishes:
                publisher.publish(writer.fill(tick.command, tick.velocity, tick.now_ns))

    def _housekeep(self) -> None:
        """Once a second, in the slack after a tick."""
        if self.core.ticks % round(self._robot.rates.control_hz):
            return
        self._status.summarise()
        if self._collector is not None:
            self._collector.collect()

    def _say_change(self, tick: Tick) -> None:
        before, self._last = self._last, tick
        if (before is None or before.state is not tick.state) and self._may_say(tick.state.name):
            detail = f": {tick.reason}" if tick.reason else ""
            self.get_logger().info(f"{tick.state.name.lower()}{detail}")

    def _may_say(self, what: str) -> bool:
        now_s = time.monotonic()
        if now_s - self._said_s.get(what, -np.inf) < _LOG_PERIOD_S:
            return False
        self._said_s[what] = now_s
        return True

    def _read_diagnostics(self) -> Reading:
        last = self._last
        if self._ticks is not None and last is None:
            return WARN, "no tick yet", {}
        with self._lock:
            return self._reader.read(self._status.message, self._facts(last))

    def _facts(self, last: Tick | None) -> ExecutorFacts:
        """What diagnostics say beside the status message."""
        error = np.nan
        if last is not None:
            self._unpack_joints()
            error = np.abs(self.core.joints.action() - last.command)[self._measured].max()
        return ExecutorFacts(
            observation_age_s=self.core.observation_age_s(self._now_ns()),
            tracking_error=float(error),
            refused={rule.value: n for rule, n in self.core.gate.refused.items()},
            faults=self._faults,
        )


def to_incoming(message: ActionChunk) -> IncomingChunk:
    """The message as the control room takes it, unchecked."""
    step = message.step_duration
    return IncomingChunk(
        stamp_ns=_nanoseconds(message.header.stamp),
        step_ns=_nanoseconds(step),
        names=tuple(message.action_names),
        horizon=message.horizon,
        data=np.asarray(message.data, dtype=np.float32),
        observation_stamp_ns=_nanoseconds(message.observation_stamp),
        sequence=message.sequence,
        source_id=message.source_id,
        embodiment=message.embodiment,
        checkpoint_id=message.checkpoint_id,
    )


def header_stamp_ns(data: bytes) -> int:
    """Stamp of a serialised message that begins with a header.

    After the 4 bytes of CDR encapsulation, whose second tells the byte order, come
    int32 seconds and uint32 nanoseconds.
    """
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def _nanoseconds(time_message: Any) -> int:
    return int(time_message.sec) * 1_000_000_000 + int(time_message.nanosec)


def main() -> None:
    keep_freed_memory()
    raise SystemExit(run(ChunkExecutor))


if __name__ == "__main__":
    main()
