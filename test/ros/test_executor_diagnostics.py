"""What the executor's diagnostics make of its status message."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.control import ExecutorState
from pi0_ros.nodes.chunk_executor.diagnostics import ExecutorDiagnostics, ExecutorFacts
from pi0_ros.nodes.diagnostics import ERROR, OK, WARN
from pi0_ros.nodes.executor_status import ExecutorView, LimitHits

NO_FACTS = ExecutorFacts()


def status(state: int = ExecutorStatus.EXECUTING, **fields: Any) -> ExecutorView:
    message = ExecutorStatus(
        state=state, action_names=["elbow", "gripper"], chunk_sequence=7, **fields
    )
    return ExecutorView.from_message(message)


def test_every_state_of_the_message_has_its_name() -> None:
    constants = {
        getattr(ExecutorStatus, name): name
        for name in dir(type(ExecutorStatus))
        if name.isupper() and not name.startswith("_")
    }
    assert {int(state): state.name for state in ExecutorState} == constants


def test_hits_of_every_kind_are_counted_by_joint_and_in_total() -> None:
    view = status(jerk_limit_hits=array("Q", [4, 5]), velocity_limit_hits=array("Q", [0, 2]))
    assert view.limit_hits == (LimitHits(jerk=4), LimitHits(velocity=2, jerk=5))
    assert view.total_hits == LimitHits(velocity=2, jerk=9)
    assert ExecutorView.from_message(ExecutorStatus()).total_hits == LimitHits()


def test_gives_the_limit_hits_of_every_joint_and_their_sum_by_kind() -> None:
    message = status(
        position_limit_hits=array("Q", [0, 1]),
        velocity_limit_hits=array("Q", [3, 0]),
        acceleration_limit_hits=array("Q", [12, 2]),
    )
    _, _, values = ExecutorDiagnostics().read(message, NO_FACTS)
    assert values["limit_hits.elbow"] == "p 0 v 3 a 12 j 0"
    assert values["limit_hits.gripper"] == "p 1 v 0 a 2 j 0"
    assert values["acceleration_limit_hits"] == "14"
    assert values["jerk_limit_hits"] == "0"


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (ExecutorStatus.INACTIVE, OK),
        (ExecutorStatus.EXECUTING, OK),
        (ExecutorStatus.TELEOPERATED, OK),
        (ExecutorStatus.HOMING, OK),
        (ExecutorStatus.WAITING, WARN),
        (ExecutorStatus.HOLDING, WARN),
        (ExecutorStatus.STOPPED, WARN),
        (ExecutorStatus.ESTOPPED, ERROR),
    ],
)
def test_a_robot_that_does_not_do_its_task_is_no_ok(state: int, level: int) -> None:
    assert ExecutorDiagnostics().read(status(state), NO_FACTS)[0] == level


def test_the_message_tells_state_and_reason() -> None:
    message = status(ExecutorStatus.HOLDING, reason="chunk 7 is exhausted")
    _, text, values = ExecutorDiagnostics().read(message, NO_FACTS)
    assert text == "holding: chunk 7 is exhausted"
    assert values["state"] == "HOLDING"
    assert ExecutorDiagnostics().read(status(), NO_FACTS)[1] == "executing chunk 7"


def test_warns_of_missed_ticks_once_and_counts_those_of_a_new_activation_anew() -> None:
    diagnostics = ExecutorDiagnostics()
    assert diagnostics.read(status(missed_ticks=3), NO_FACTS)[:2] == (
        WARN,
        "executing chunk 7; 3 ticks missed",
    )
    assert diagnostics.read(status(missed_ticks=3), NO_FACTS)[0] == OK
    assert diagnostics.read(status(missed_ticks=1), NO_FACTS)[1].endswith("1 ticks missed")


def test_a_fault_in_a_tick_is_an_error_whatever_the_state() -> None:
    level, text, _ = ExecutorDiagnostics().read(status(), ExecutorFacts(faults=2))
    assert level == ERROR
    assert text.startswith("2 faults in the tick")


def test_tells_how_far_every_measured_joint_is_from_its_command() -> None:
    facts = ExecutorFacts(off=(-0.25, float("nan")))
    _, _, values = ExecutorDiagnostics().read(status(), facts)
    assert values["off.elbow"] == "-0.2500"
    assert "off.gripper" not in values
    assert values["tracking_error_max"] == "0.2500"
    assert ExecutorDiagnostics().read(status(), NO_FACTS)[2]["tracking_error_max"] == "nan"
