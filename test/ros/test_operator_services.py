"""The operator's services and the teleoperation topic, tick by tick in simulated time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from executor_rig import HORIZON, MEASURED, Rig, assert_path_within_limits
from harness import Graph

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor

RAMP = np.array(MEASURED) + np.linspace(0.0, 0.2, HORIZON)[:, None] * [1.0, 1.0, 1.0, 1.0]


@pytest.fixture
def rig(ros: Graph, tmp_path: Path) -> Rig:
    return Rig(ros, tmp_path)


def _executing(rig: Rig) -> None:
    rig.until(ExecutorStatus.HOLDING)
    rig.offer(RAMP)
    assert rig.tick(6).state == ExecutorStatus.EXECUTING
    assert min(rig.statuses[-1].command_velocity) > 0.1


def test_stop_answers_without_a_tick_and_the_next_one_is_stopped(rig: Rig) -> None:
    _executing(rig)
    ticks = rig.statuses[-1].ticks
    answer = rig.ask("stop")
    assert (answer.success, answer.message) == (True, "stopped by ~/stop")
    assert rig.statuses[-1].ticks == ticks
    status = rig.tick()
    assert (status.state, status.reason) == (ExecutorStatus.STOPPED, "stopped by ~/stop")
    rig.offer(RAMP)
    status = rig.tick(30)
    assert status.state == ExecutorStatus.STOPPED
    assert "stopped by ~/stop" in status.last_refusal
    assert list(status.command_velocity) == [0.0] * 4
    assert_path_within_limits(rig.path_sent())


def test_start_waits_for_a_chunk_seen_after_it(rig: Rig) -> None:
    _executing(rig)
    rig.ask("stop")
    rig.tick(20)
    before = rig.stamp_in(-20)
    assert rig.ask("start").success
    rig.offer(RAMP, observation_stamp=before)
    status = rig.tick()
    assert status.state == ExecutorStatus.HOLDING
    assert "older than 'started'" in status.last_refusal
    rig.offer(RAMP, observation_stamp=rig.stamp_in(10))
    assert rig.tick().state == ExecutorStatus.EXECUTING


def test_home_moves_within_limits_and_ends_stopped(ros: Graph, tmp_path: Path) -> None:
    rig = Rig(ros, tmp_path, {"homing_share": 0.8})
    rig.until(ExecutorStatus.HOLDING)
    answer = rig.ask("home")
    assert answer.success, answer.message
    assert rig.tick().state == ExecutorStatus.HOMING
    assert rig.ask("start").message.startswith("on the way home")
    status = rig.until(ExecutorStatus.STOPPED)
    assert status.reason == "stopped by ~/home; at the home pose"
    assert list(status.command) == pytest.approx([0.0] * 4, abs=1e-6)
    assert_path_within_limits(rig.path_sent())


def test_home_is_refused_while_a_chunk_is_executed_and_says_by_whom(rig: Rig) -> None:
    _executing(rig)
    answer = rig.ask("home")
    assert not answer.success
    assert answer.message == "not going home: 'test' drives the robot; call ~/stop first"


def test_an_estop_outlives_deactivation_and_needs_reset_and_start(rig: Rig) -> None:
    _executing(rig)
    rig.ask("estop")
    rig.node.trigger_deactivate()
    assert "not active" in rig.ask("start").message
    rig.node.trigger_activate()
    assert rig.until(ExecutorStatus.ESTOPPED).reason.startswith("e-stopped by ~/estop")
    assert "call ~/reset first" in rig.ask("start").message
    assert rig.ask("reset").success
    assert rig.tick().state == ExecutorStatus.STOPPED
    assert rig.ask("start").success
    assert rig.tick().state == ExecutorStatus.HOLDING


def test_start_stopped_waits_for_start(ros: Graph, tmp_path: Path) -> None:
    rig = Rig(ros, tmp_path, {"start_stopped": True})
    status = rig.until(ExecutorStatus.STOPPED)
    assert status.reason == "start_stopped is set: waiting for ~/start"
    rig.ask("start")
    assert rig.tick().state == ExecutorStatus.HOLDING


def test_a_human_takes_over_from_a_chunk_and_gives_back_without_a_bump(rig: Rig) -> None:
    _executing(rig)
    for _ in range(25):
        rig.teleoperate((0.3, -0.1))
        status = rig.tick()
        assert (status.state, status.source_id) == (ExecutorStatus.TELEOPERATED, "leader")
    rig.offer(RAMP)
    assert rig.tick().last_refusal == "chunk 1 refused: 'leader' teleoperates"
    rig.teleoperate((0.0, 0.0), deadman=False)
    status = rig.tick()
    assert status.state == ExecutorStatus.HOLDING
    assert status.reason == "'leader' let go of the deadman; waiting for a newer chunk"
    rig.offer(RAMP, observation_stamp=rig.stamp_in(-40))
    assert rig.tick().state == ExecutorStatus.HOLDING
    rig.offer(RAMP)
    assert rig.tick(3).state == ExecutorStatus.EXECUTING
    assert_path_within_limits(rig.path_sent())


@pytest.mark.parametrize("held", ["before the deactivation", "while inactive"])
def test_a_deadman_held_across_an_activation_has_to_be_let_go_first(rig: Rig, held: str) -> None:
    rig.until(ExecutorStatus.HOLDING)
    if held == "before the deactivation":
        rig.teleoperate((0.3, -0.1))
        assert rig.tick().state == ExecutorStatus.TELEOPERATED
    rig.node.trigger_deactivate()
    if held == "while inactive":
        must_release = rig.node._must_release
        rig.teleoperate((0.3, -0.1), until=lambda: "leader" in must_release)
    rig.node.trigger_activate()
    rig.until(ExecutorStatus.HOLDING)
    rig.teleoperate((0.3, -0.1))
    status = rig.tick()
    assert status.state == ExecutorStatus.HOLDING
    assert status.last_refusal.endswith("let go of the deadman and press it again")
    rig.teleoperate((0.3, -0.1), deadman=False, until=lambda: not rig.node._must_release)
    rig.teleoperate((0.3, -0.1))
    assert rig.tick().state == ExecutorStatus.TELEOPERATED


def test_a_teleoperation_command_that_does_not_fit_is_refused_and_said(rig: Rig) -> None:
    rig.until(ExecutorStatus.HOLDING)
    rig.teleoperate((0.3, float("nan")))
    status = rig.tick()
    assert status.state == ExecutorStatus.HOLDING
    assert status.last_refusal == "teleoperation by 'leader': position of 'elbow' is nan"


def test_a_veto_is_loaded_by_name_counted_and_said(ros: Graph, tmp_path: Path) -> None:
    rig = Rig(ros, tmp_path, {"veto": "test_operator_services:wall"})
    rig.until(ExecutorStatus.HOLDING)
    rig.offer(RAMP)
    status = rig.tick(10)
    assert (status.state, status.vetoed_ticks) == (ExecutorStatus.HOLDING, 1)
    assert status.reason == "vetoed: behind the wall"


def wall(command: np.ndarray, _velocity: np.ndarray) -> str | None:
    return "behind the wall" if command[0] > 0.12 else None


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        ("veto", "no_such:thing", "veto is 'no_such:thing'"),
        ("priority", 100, "priority is 100; give 2 to 99, or 0 for none"),
        ("homing_share", 1.5, "homing_share is 1.5"),
    ],
)
def test_a_bad_parameter_fails_configure_with_its_value(ros, parameter, value, words) -> None:
    node = ros.add(ChunkExecutor, {"embodiment": "ur5e", parameter: value})
    assert words in node.failure
