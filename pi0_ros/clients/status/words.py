"""What the executor does, in plain words."""

from __future__ import annotations

from pi0_ros.clients.status.model import Control, Level

#: What each state means; its name stands before it.
_WORDS = {
    "INACTIVE": "nothing is commanded",
    "WAITING": "nothing is commanded yet",
    "HOLDING": "the robot stands",
    "EXECUTING": "the policy drives",
    "STOPPED": "until ~/start",
    "ESTOPPED": "until ~/reset and ~/start",
    "HOMING": "on the way to the home pose",
    "TELEOPERATED": "a person or a script drives",
}
_LEVELS = {
    "EXECUTING": Level.OK,
    "HOMING": Level.OK,
    "TELEOPERATED": Level.OK,
    "ESTOPPED": Level.ERROR,
}


def state_words(control: Control) -> str:
    """What the state means, who drives and why, without the state's name."""
    words = _WORDS.get(control.state, "")
    if control.source_id:
        words += f" ({control.source_id})"
    return f"{words}: {control.reason}" if control.reason else words


def state_level(control: Control) -> Level:
    """Whether the robot does what it is there for."""
    return _LEVELS.get(control.state, Level.WARN)
