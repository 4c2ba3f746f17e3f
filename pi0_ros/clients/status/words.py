"""The executor's state in words."""

from __future__ import annotations

from pi0_ros.clients.status.model import Level
from pi0_ros.control import ExecutorState
from pi0_ros.nodes.executor_status import ExecutorView

#: Meaning of each state. The screen shows it after the name of the state.
_WORDS = {
    ExecutorState.INACTIVE: "nothing is commanded",
    ExecutorState.WAITING: "nothing is commanded yet",
    ExecutorState.HOLDING: "the robot stands",
    ExecutorState.EXECUTING: "the policy drives",
    ExecutorState.STOPPED: "until ~/start",
    ExecutorState.ESTOPPED: "until ~/reset and ~/start",
    ExecutorState.HOMING: "on the way to the home pose",
    ExecutorState.TELEOPERATED: "a person or a script drives",
}
_LEVELS = {
    ExecutorState.EXECUTING: Level.OK,
    ExecutorState.HOMING: Level.OK,
    ExecutorState.TELEOPERATED: Level.OK,
    ExecutorState.ESTOPPED: Level.ERROR,
}


def state_words(control: ExecutorView) -> str:
    """The meaning of the state, the source that drives and the reason."""
    words = _WORDS[control.state]
    if control.source_id:
        words += f" ({control.source_id})"
    return f"{words}: {control.reason}" if control.reason else words


def state_level(control: ExecutorView) -> Level:
    """OK while something drives the robot, ERROR after an emergency stop, else WARN."""
    return _LEVELS.get(control.state, Level.WARN)
