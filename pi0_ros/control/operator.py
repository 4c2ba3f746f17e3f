"""The operator's commands to the executor. Each returns at once; the next tick carries it out."""

from __future__ import annotations

from pi0_ros.control.drivers import HomingDriver
from pi0_ros.control.executor import Executor
from pi0_ros.control.operator_interlock import Answer
from pi0_ros.control.state import ExecutorState


class Operator:
    """The five commands. Each returns whether it was done, and one sentence for the operator."""

    def __init__(self, executor: Executor, homing_share: float) -> None:
        self._executor = executor
        self._homing_share = homing_share

    def start(self, now_ns: int) -> Answer:
        """Allow chunks and commands newer than this call to drive the robot from where it is."""
        executor = self._executor
        if isinstance(executor.driver, HomingDriver):
            return Answer(False, "on the way home; wait for its end, or call ~/stop first")
        if not executor.interlock.locked:
            return executor.interlock.start()
        answer = executor.interlock.start()
        if answer.done:
            executor.take_measured_pose()
            executor.hand_over("started", now_ns)
        return answer

    def stop(self) -> Answer:
        """Brake within limits and stay stopped until :meth:`start`."""
        return self._hold(self._executor.interlock.stop("stopped by ~/stop"))

    def estop(self) -> Answer:
        """Brake within limits and stay stopped until :meth:`reset` and then :meth:`start`."""
        return self._hold(self._executor.interlock.estop("e-stopped by ~/estop"))

    def reset(self) -> Answer:
        """Change from e-stopped to stopped."""
        answer = self._executor.interlock.reset()
        return self._hold(answer) if answer.done else answer

    def home(self, now_ns: int) -> Answer:
        """Move from standstill to the home pose and stay stopped there."""
        executor = self._executor
        refusal = self._not_home_now(now_ns)
        if refusal is not None or executor.commanded is None:
            return Answer(False, f"not going home: {refusal}")
        executor.interlock.stop("stopped by ~/home")
        executor.take_measured_pose()
        start, share = executor.commanded, self._homing_share
        homing = HomingDriver(start, executor.robot, executor.blender, share)
        executor.drive(homing)
        return Answer(True, f"going home in {homing.duration_s:.1f} s; stopped there until ~/start")

    def _not_home_now(self, now_ns: int) -> str | None:
        executor = self._executor
        if executor.interlock.state is ExecutorState.ESTOPPED:
            return f"{executor.interlock.reason}; call ~/reset first"
        if executor.commanded is None:
            return executor.joints.problem(now_ns) or "the pose is not known yet"
        if executor.driver is not None:
            return f"{executor.driver.source_id!r} drives the robot; call ~/stop first"
        if not executor.commanded.is_still:
            return "the robot is still braking; try again"
        return executor.problem(now_ns)

    def _hold(self, answer: Answer) -> Answer:
        self._executor.hold(self._executor.interlock.reason)
        return answer
