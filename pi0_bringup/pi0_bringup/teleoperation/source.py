"""Base class of the teleoperation nodes: the executor's status in, TeleopCommand out."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from pi0_bringup.teleoperation.engagement import Engagement, Phase
from pi0_msgs.msg import ExecutorStatus, TeleopCommand
from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import load
from pi0_ros.nodes.diagnostics import OK, WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, ManagedNode
from pi0_ros.nodes.time_messages import time_message
from pi0_ros.stamps import S_PER_NS

#: The executor reports every tick. After this time without a report it counts as gone [s].
_STATUS_TIMEOUT_S = 0.5
#: A late tick moves the setpoint by at most this time [s].
_LONGEST_TICK_S = 0.1
_LOG_PERIOD_S = 2.0
#: An executor that does not follow within this time after the first command refuses to.
_TAKEOVER_NS = 500_000_000
#: States in which the robot may not be driven, and why.
_NOT_READY = {
    ExecutorStatus.INACTIVE: "the executor is inactive",
    ExecutorStatus.WAITING: "the executor does not know the robot's pose yet",
    ExecutorStatus.STOPPED: "the executor is stopped; call ~/start",
    ExecutorStatus.ESTOPPED: "the emergency stop is latched; call ~/reset, then ~/start",
}


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Setpoint of one tick: position [unit] and rate [unit/s], (N,) each, of N dimensions."""

    names: tuple[str, ...]
    position: FloatArray
    velocity: FloatArray


class TeleopSource(ManagedNode):
    """Sends the setpoints of :meth:`advance` while the deadman is held and the robot is ready.

    Parameters: ``embodiment``; ``rate_hz``, 0 for the control rate. A subclass implements
    :meth:`prepare`, :meth:`held`, :meth:`engage` and :meth:`advance`. If one of them raises
    ValueError, the robot is released and the reason is logged.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.declare_parameter("embodiment", "")
        self.declare_parameter("rate_hz", 0.0)
        self.engagement = Engagement()
        self.sent = 0
        self._source_id = f"{name}-{os.getpid()}"
        self._status: ExecutorStatus | None = None

    def prepare(self) -> None:
        """Read the parameters and create the entities of the subclass."""

    def held(self, now_ns: int) -> bool:
        """Whether the deadman is held."""
        raise NotImplementedError

    def engage(self, commanded: FloatArray, now_ns: int) -> None:
        """Begin to drive at the commanded pose (A,)."""

    def advance(self, now_ns: int, elapsed_s: float) -> Setpoint:
        """The setpoint of this tick."""
        raise NotImplementedError

    def setup(self) -> None:
        self.robot = load(self.get_parameter("embodiment").value)
        rate_hz = self.get_parameter("rate_hz").value or self.robot.rates.control_hz
        if not (math.isfinite(rate_hz) and rate_hz > 0.0):
            raise ValueError(f"rate_hz is {rate_hz}; give a rate in Hz, or 0 for the control rate")
        self._period_s = 1.0 / rate_hz
        self._commands = self.create_publisher(TeleopCommand, "teleop_command", COMMAND_QOS)
        self.create_subscription(ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS)
        self.prepare()
        DiagnosticsPublisher(self, self.robot.name, "teleoperation", self._diagnose)

    def start(self) -> None:
        self.engagement = Engagement()
        self._status = None
        self._ticked_ns = self._engaged_ns = self._now_ns()
        self.create_timer(self._period_s, self._on_tick)

    def stop(self) -> None:
        self._release()

    @property
    def commanded(self) -> FloatArray | None:
        """The pose the executor commands, shape (A,) in embodiment order; None if unknown."""
        status = self._status
        if status is None or tuple(status.action_names) != self.robot.action_names:
            return None
        command: FloatArray = np.array(status.command)
        return command if np.isfinite(command).all() else None

    def problem(self, now_ns: int) -> str | None:
        """Why the robot may not be driven now, or None."""
        status = self._status
        if status is None:
            return "no executor_status; start the chunk_executor"
        if status.embodiment not in ("", self.robot.name):
            return f"the executor drives {status.embodiment!r}, this is for {self.robot.name!r}"
        silent_s = (now_ns - self._status_ns) * S_PER_NS
        if silent_s > _STATUS_TIMEOUT_S:
            return f"executor_status is {silent_s:.1f} s old"
        if status.state in _NOT_READY:
            return _NOT_READY[status.state]
        return None if self.commanded is not None else "the executor's pose is not known"

    @property
    def state(self) -> str:
        """``driving``, or why the source does not drive."""
        if self.engagement.driving:
            return "driving"
        return self.engagement.reason or "deadman released"

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_status(self, message: ExecutorStatus) -> None:
        self._status = message
        self._status_ns = self._now_ns()

    def _on_tick(self) -> None:
        now_ns = self._now_ns()
        elapsed_s = min((now_ns - self._ticked_ns) * S_PER_NS, _LONGEST_TICK_S)
        self._ticked_ns = now_ns
        if elapsed_s <= 0.0:  # the clock is paused or was set back
            return
        try:
            self._step(now_ns, elapsed_s)
        except ValueError as error:
            self.engagement.block(str(error))
            self._release()
            self.get_logger().error(f"released: {error}", throttle_duration_sec=_LOG_PERIOD_S)

    def _step(self, now_ns: int, elapsed_s: float) -> None:
        problem = self.problem(now_ns) or self._unfollowed(now_ns)
        phase = self.engagement.update(self.held(now_ns), problem)
        if phase is Phase.RELEASE:
            self._release()
            self.get_logger().info(f"released: {self.state}")
        elif self.engagement.reason:
            self.get_logger().warning(
                f"not driving: {self.engagement.reason}", throttle_duration_sec=_LOG_PERIOD_S
            )
        if phase is Phase.ENGAGE:
            commanded = self.commanded
            assert commanded is not None  # problem() saw it
            self._engaged_ns = now_ns
            self.engage(commanded, now_ns)
            self.get_logger().info("driving")
        if phase in (Phase.ENGAGE, Phase.DRIVE):
            self._send(self.advance(now_ns, elapsed_s), now_ns)

    def _unfollowed(self, now_ns: int) -> str | None:
        """Why the executor does not follow this source, or None."""
        status = self._status
        driving = self.engagement.driving and now_ns - self._engaged_ns > _TAKEOVER_NS
        if status is None or not driving:
            return None
        if status.state != ExecutorStatus.TELEOPERATED:
            return f"the executor does not follow: {status.reason or 'it is not teleoperated'}"
        if status.source_id != self._source_id:
            return f"{status.source_id!r} drives"
        return None

    def _send(self, setpoint: Setpoint, now_ns: int) -> None:
        message = TeleopCommand(source_id=self._source_id, deadman=True)
        message.header.stamp = time_message(now_ns)
        message.action_names = list(setpoint.names)
        message.position = setpoint.position.tolist()
        message.velocity = setpoint.velocity.tolist()
        self._commands.publish(message)
        self.sent += 1

    def _release(self) -> None:
        message = TeleopCommand(source_id=self._source_id, deadman=False)
        message.header.stamp = time_message(self._now_ns())
        self._commands.publish(message)

    def _diagnose(self) -> Reading:
        values = {"state": self.state, "sent": str(self.sent), "source_id": self._source_id}
        if self.engagement.reason:
            return WARN, self.engagement.reason, values
        return OK, self.state, values
