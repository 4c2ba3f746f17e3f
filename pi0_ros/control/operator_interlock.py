"""The operator interlock: whether the robot may be driven at all."""

from __future__ import annotations

from dataclasses import dataclass

from pi0_ros.control.state import ExecutorState


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to the operator: whether the command was done, and one sentence."""

    done: bool
    message: str


class OperatorInterlock:
    """Running, stopped or e-stopped, and why.

    ============  ============  ============  ============  =============
    from          start         stop          estop         reset
    ============  ============  ============  ============  =============
    running       (is running)  stopped       e-stopped     refused
    stopped       running       stopped       e-stopped     refused
    e-stopped     refused       (stronger)    e-stopped     stopped
    ============  ============  ============  ============  =============

    The interlock outlives an :class:`~pi0_ros.control.executor.Executor`: an e-stop stays when the
    node is deactivated and activated again.
    """

    def __init__(self) -> None:
        self.state: ExecutorState | None = None
        self.reason = ""

    @property
    def locked(self) -> bool:
        """Whether only homing may move the robot."""
        return self.state is not None

    def start(self) -> Answer:
        """Allow the robot to be driven."""
        if self.state is ExecutorState.ESTOPPED:
            return Answer(False, f"{self.reason}: call ~/reset first, then ~/start")
        was_locked = self.locked
        self.state, self.reason = None, ""
        return Answer(True, "started" if was_locked else "was started already")

    def stop(self, reason: str) -> Answer:
        """Lock the robot until :meth:`start`."""
        if self.state is ExecutorState.ESTOPPED:
            return Answer(True, f"{self.reason}, which is stronger; ~/reset leads to stopped")
        self.state, self.reason = ExecutorState.STOPPED, reason
        return Answer(True, reason)

    def estop(self, reason: str) -> Answer:
        """Lock the robot until :meth:`reset` and then :meth:`start`."""
        self.state, self.reason = ExecutorState.ESTOPPED, reason
        return Answer(True, f"{reason}: ~/reset and then ~/start to go on")

    def reset(self) -> Answer:
        """Leave the e-stop; the robot stays stopped."""
        if self.state is not ExecutorState.ESTOPPED:
            return Answer(False, "nothing to reset: not e-stopped")
        self.state, self.reason = (
            ExecutorState.STOPPED,
            "reset after an e-stop; waiting for ~/start",
        )
        return Answer(True, self.reason)
