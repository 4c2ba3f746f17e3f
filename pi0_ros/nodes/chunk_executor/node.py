"""chunk_executor: the ROS node around the executor of :mod:`pi0_ros.control`.

It receives chunks, teleoperation commands, observations and joint states, and sends limited
commands once per control period. It decides nothing itself.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

from pi0_msgs.msg import ActionChunk, ExecutorStatus, Observation
from pi0_msgs.msg import TeleopCommand as TeleopMessage
from pi0_ros.control import (
    Answer,
    Executor,
    ExecutorState,
    Operator,
    OperatorInterlock,
    Tick,
)
from pi0_ros.embodiment.packing import state_sources
from pi0_ros.messages import message_class
from pi0_ros.nodes.chunk_executor.diagnostics import ExecutorDiagnostics, ExecutorFacts
from pi0_ros.nodes.chunk_executor.inputs import header_stamp_ns, to_incoming, to_teleop
from pi0_ros.nodes.chunk_executor.log import ThrottledLog
from pi0_ros.nodes.chunk_executor.operator_services import OperatorServices
from pi0_ros.nodes.chunk_executor.outputs import Outputs, unsubscribed_reason
from pi0_ros.nodes.chunk_executor.realtime import (
    lock_memory,
    ordinary_priority,
    raise_priority,
    unlock_memory,
)
from pi0_ros.nodes.chunk_executor.settings import declare_settings, read_settings
from pi0_ros.nodes.chunk_executor.status import StatusWriter
from pi0_ros.nodes.chunk_executor.ticking import ClockTicks, QuietCollector, SteadyTicks
from pi0_ros.nodes.diagnostics import WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.executor_status import ExecutorView
from pi0_ros.nodes.heap import keep_freed_memory
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS, ManagedNode
from pi0_ros.nodes.process import run
from pi0_ros.stamps import NS_PER_S, nanoseconds

#: Longest controlled stop; the final command cuts off a longer one.
_STOP_TIMEOUT_S = 3.0
_DEACTIVATED = "the executor was deactivated"


class ChunkExecutor(ManagedNode):
    """Parameters: see docs/reference/chunk_executor.md."""

    def __init__(self, **options: Any) -> None:
        super().__init__("chunk_executor", **options)
        declare_settings(self)
        self._ticks: SteadyTicks | ClockTicks | None = None
        self._lock = threading.Lock()  # ticks and callbacks run in two threads
        self._interlock = OperatorInterlock()  # an e-stop outlives an activation
        self._must_release: set[str] = set()  # a held deadman also outlives it
        self._joint_bytes: dict[str, bytes] = {}
        self._log = ThrottledLog(self.get_logger())
        self._punctuality: dict[str, str] = {}
        self._unsubscribed: tuple[list[str], list[str]] = ([], [])
        self._faults = 0
        self._last: Tick | None = None

    def setup(self) -> None:
        self._settings = read_settings(self)
        self._robot = self._settings.robot
        self._state_sources = state_sources(self._robot)
        self._measured = [d.state is not None for d in self._robot.action]
        self._create_executor()
        self._create_entities()

    def start(self) -> None:
        self._create_executor()
        if self._interlock.state is ExecutorState.STOPPED:
            self._interlock.start()
        if self._settings.start_stopped:
            self._interlock.stop("start_stopped is set: waiting for ~/start")
        period_ns = round(NS_PER_S / self._robot.rates.control_hz)
        if self.get_parameter("use_sim_time").value:
            self._collector = None
            self._ticks = ClockTicks(self.get_clock(), period_ns, self._on_tick)
        else:
            self.add_cleanup(ordinary_priority)
            self.add_cleanup(unlock_memory)
            self._collector = QuietCollector()
            self.add_cleanup(self._collector.end)
            if self._settings.lock_memory:
                self._punctuality["memory"] = lock_memory()
            self._ticks = SteadyTicks(
                self.get_clock(), period_ns, self._on_tick, self._prepare_thread
            )
        self._ticks.start()

    def stop(self) -> None:
        """Brake within limits, send the final pose and zero velocities, then publish INACTIVE.

        If a step fails, the next steps are still taken.
        """
        if self._ticks is None:
            return
        with ExitStack() as last_first:
            last_first.callback(self._say_inactive)
            last_first.callback(self._leave_at_rest)
            last_first.callback(self._end_ticks, self._ticks)
            with self._lock:
                self.core.end(_DEACTIVATED)
            self._ticks.run_until(lambda: self.core.is_stopped, _STOP_TIMEOUT_S)

    def _end_ticks(self, ticks: SteadyTicks | ClockTicks) -> None:
        self._ticks = None
        ticks.end()

    def _leave_at_rest(self) -> None:
        if self._last is not None:
            self.outputs.send(self.core.final(self._last))

    def _say_inactive(self) -> None:
        self._status_publisher.publish(self._status.fill_inactive(_DEACTIVATED))
        self.outputs.flush(self._status_publisher)

    def _create_executor(self) -> None:
        settings = self._settings
        self.core = Executor(
            self._robot, settings.tuning, self._interlock, settings.veto, self._must_release
        )
        self._operator = Operator(self.core, settings.tuning.homing_share)
        self._status = StatusWriter(self._robot)
        self._joint_bytes.clear()
        self._last = None
        self._faults = 0

    def _create_entities(self) -> None:
        """Receive observations and joint states as bytes: most ticks need only their stamps.

        These subscriptions are best effort, so that a slow executor never delays camera_sync.
        """
        self.outputs = Outputs(self, self._robot)
        self.add_cleanup(self.outputs.destroy)
        self._status_publisher = self.create_publisher(
            ExecutorStatus, "executor_status", LATCHED_QOS
        )
        self.create_subscription(ActionChunk, "action_chunk", self._on_chunk, COMMAND_QOS)
        self.create_subscription(TeleopMessage, "teleop_command", self._on_teleop, COMMAND_QOS)
        self.create_subscription(
            Observation, "observation", self._on_observation, SENSOR_QOS, raw=True
        )
        for topic, source in self._state_sources.items():
            on_joints = partial(self._on_joints, topic)
            kind = message_class(source.message_type)
            self.create_subscription(kind, topic, on_joints, SENSOR_QOS, raw=True)
        OperatorServices(self, self._ask)
        self._reader = ExecutorDiagnostics()
        self._diagnostics = DiagnosticsPublisher(
            self, self._robot.name, "executor", self._read_diagnostics
        )

    def _prepare_thread(self) -> None:
        self._punctuality["scheduling"] = raise_priority(self._settings.priority)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_chunk(self, message: ActionChunk) -> None:
        if self._ticks is None:
            return
        incoming = to_incoming(message)
        with self._lock:
            refusal = self.core.offer(incoming, self._now_ns())
        self._log.refusal("a chunk", refusal)

    def _on_teleop(self, message: TeleopMessage) -> None:
        command = to_teleop(message)
        with self._lock:
            if self._ticks is None:
                self.core.teleop_admission.note_deadman(command)
                return
            refusal = self.core.teleoperate(command, self._now_ns())
        self._log.refusal("a teleoperation command", refusal)

    def _on_observation(self, data: bytes) -> None:
        with self._lock:
            self.core.observe(header_stamp_ns(data), self._now_ns())

    def _on_joints(self, topic: str, data: bytes) -> None:
        with self._lock:
            self._joint_bytes[topic] = data
            self.core.joints.heard(topic, self._now_ns(), header_stamp_ns(data))

    def _unpack_joints(self) -> None:
        """Unpack the joint states that arrived since the last call; most ticks do not need them."""
        while self._joint_bytes:
            topic, data = self._joint_bytes.popitem()
            source = self._state_sources[topic]
            message: Any = deserialize_message(data, message_class(source.message_type))
            stamp_ns = nanoseconds(message.header.stamp)
            self.core.joints.update(topic, *source.read(message), stamp_ns)

    def _ask(self, verb: str) -> Answer:
        """Carry out an operator's command between two ticks."""
        operator = self._operator
        with self._lock:
            if verb == "estop":
                return operator.estop()
            if verb == "reset":
                return operator.reset()
            if self._ticks is None:
                return Answer(False, "the executor is not active; activate it first")
            if verb == "stop":
                return operator.stop()
            self._unpack_joints()
            now_ns = self._now_ns()
            return operator.home(now_ns) if verb == "home" else operator.start(now_ns)

    def _on_tick(self, deadline_ns: int, late_ns: int, missed: int) -> None:
        """One tick; after an exception the next tick holds."""
        try:
            with self._lock:
                if self.core.needs_joints:
                    self._unpack_joints()
                tick = self.core.tick(deadline_ns)
            self.outputs.send(tick)
            with self._lock:
                self._status.lateness.record(late_ns, missed)
                status = self._status.fill(tick, self.core)
            self._status_publisher.publish(status)
            before, self._last = self._last, tick
            self._log.state_change(before, tick)
            self._log.missed_ticks(missed, late_ns)
            self._housekeep()
        except Exception as error:  # a robot in motion must not lose its executor
            self._faults += 1
            with self._lock:
                self.core.hold(f"fault in the tick: {error}")
            self._log.fault(error)

    def _housekeep(self) -> None:
        """After a tick: do the work of once a second, and check for missing controllers."""
        is_second = self.core.ticks % round(self._robot.rates.control_hz) == 0
        if is_second or self._unsubscribed[0] or self.core.ticks == 1:
            self._check_subscribers()
        if is_second:
            self._status.summarise()
            if self._collector is not None:
                self._collector.collect()

    def _check_subscribers(self) -> None:
        self._unsubscribed = self.outputs.unsubscribed()
        if self._settings.require_controllers:
            with self._lock:
                self.core.block(unsubscribed_reason(self._unsubscribed[0]))

    def _read_diagnostics(self) -> Reading:
        last = self._last
        if self._ticks is not None and last is None:
            return WARN, "no tick yet", {}
        with self._lock:
            return self._reader.read(
                ExecutorView.from_message(self._status.message), self._facts(last)
            )

    def _facts(self, last: Tick | None) -> ExecutorFacts:
        """The values of the diagnostics that the status message does not carry."""
        off: tuple[float, ...] = ()
        if last is not None:
            self._unpack_joints()
            apart = self.core.joints.action() - last.command
            off = tuple(np.where(self._measured, apart, np.nan).tolist())
        admission = self.core.teleop_admission
        extra = {"teleop_accepted": str(admission.accepted)} | self._punctuality
        extra |= {f"teleop_refused_{rule.value}": str(n) for rule, n in admission.refused.items()}
        unsubscribed = [*self._unsubscribed[0], *self._unsubscribed[1]]
        return ExecutorFacts(
            observation_age_s=self.core.observation_age_s(self._now_ns()),
            off=off,
            refused={rule.value: n for rule, n in self.core.chunk_admission.refused.items()},
            faults=self._faults,
            extra=extra,
            warnings=(f"no subscriber on {', '.join(unsubscribed)}",) if unsubscribed else (),
        )


def main() -> None:
    keep_freed_memory()
    raise SystemExit(run(ChunkExecutor))


if __name__ == "__main__":
    main()
