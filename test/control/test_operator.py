"""The operator's commands: their effects, their refusals, and that nothing dropped resumes."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import START, Bench, assert_within_limits, embodiment

from pi0_ros.control import Executor, ExecutorState, OperatorInterlock, Tuning

MOVING = START + np.linspace(0.0, 1.0, 40)[:, None] * [0.8, 0.6, 0.3, 0.4]


def _moving() -> Bench:
    bench = Bench(embodiment(horizon=40))
    bench.tick()
    assert bench.offer(MOVING) is None
    assert bench.tick(10).state is ExecutorState.EXECUTING
    assert np.abs(bench.ticks[-1].velocity).min() > 0.1
    return bench


def _homed(bench: Bench) -> None:
    for _ in range(2000):
        if bench.tick().state is not ExecutorState.HOMING:
            return
    raise AssertionError("still homing")


def test_stop_brakes_within_limits_and_holds_until_start():
    bench = _moving()
    assert bench.operator.stop().done
    tick = bench.tick()
    assert (tick.state, tick.reason) == (ExecutorState.STOPPED, "stopped by ~/stop")
    bench.tick(40)
    assert_within_limits(bench.commands(), bench.robot)
    assert not bench.ticks[-1].velocity.any()
    assert bench.ticks[-1].publish == (True, True, False)
    assert bench.operator.start(bench.now_ns).done
    assert bench.tick().state is ExecutorState.HOLDING


def test_while_stopped_chunks_are_refused_and_counted():
    bench = _moving()
    bench.operator.stop()
    assert "stopped by ~/stop" in bench.offer(MOVING)
    assert bench.executor.chunk_admission.refused["stopped"] == 1
    assert bench.tick().state is ExecutorState.STOPPED


def test_after_start_only_a_chunk_from_an_observation_after_it_executes():
    bench = _moving()
    bench.operator.stop()
    bench.tick(40)
    seen_ns = bench.now_ns
    bench.operator.start(bench.now_ns)
    bench.tick(2)
    assert "older than 'started'" in bench.offer(MOVING, observation_stamp_ns=seen_ns - 1)
    assert bench.tick().state is ExecutorState.HOLDING
    assert bench.offer(MOVING) is None
    assert bench.tick().state is ExecutorState.EXECUTING


def test_a_chunk_offered_before_stop_and_start_does_not_execute():
    bench = _moving()
    bench.offer(MOVING, stamp_ns=bench.now_ns + 5 * bench.period_ns)
    bench.operator.stop()
    bench.operator.start(bench.now_ns)
    bench.tick(10)
    assert bench.ticks[-1].state is ExecutorState.HOLDING


def test_estop_brakes_at_the_next_tick_and_is_latched():
    bench = _moving()
    before = bench.ticks[-1].velocity
    assert bench.operator.estop().done
    tick = bench.tick()
    assert tick.state is ExecutorState.ESTOPPED
    assert (np.abs(tick.velocity) < np.abs(before)).all()
    refused = bench.operator.start(bench.now_ns)
    assert not refused.done
    assert "call ~/reset first" in refused.message
    bench.tick(40)
    assert bench.ticks[-1].state is ExecutorState.ESTOPPED
    assert_within_limits(bench.commands(), bench.robot)


def test_reset_leads_from_the_estop_to_stopped_and_start_from_there():
    bench = _moving()
    bench.operator.estop()
    bench.tick(40)
    assert bench.operator.reset().done
    tick = bench.tick()
    assert tick.state is ExecutorState.STOPPED
    assert tick.reason == "reset after an e-stop; waiting for ~/start"
    assert bench.operator.start(bench.now_ns).done
    assert bench.tick().state is ExecutorState.HOLDING


def test_reset_without_an_estop_is_refused():
    answer = Bench().operator.reset()
    assert not answer.done
    assert answer.message == "nothing to reset: not e-stopped"


def test_stop_does_not_weaken_an_estop():
    bench = _moving()
    bench.operator.estop()
    assert "stronger" in bench.operator.stop().message
    assert bench.tick().state is ExecutorState.ESTOPPED


def test_start_while_running_interrupts_nothing():
    bench = _moving()
    assert bench.operator.start(bench.now_ns).message == "was started already"
    assert bench.tick().state is ExecutorState.EXECUTING


def test_an_estop_outlives_the_executor():
    interlock = OperatorInterlock()
    interlock.estop("e-stopped by ~/estop")
    bench = Bench()
    bench.executor = Executor(bench.robot, Tuning(), interlock)
    tick = bench.tick()
    assert (tick.state, tick.reason) == (ExecutorState.ESTOPPED, "e-stopped by ~/estop")


def test_while_waiting_the_reason_names_the_estop_and_what_is_missing():
    bench = Bench()
    bench.joints_alive = False
    bench.operator.estop()
    tick = bench.tick()
    assert tick.state is ExecutorState.WAITING
    assert tick.reason.startswith("e-stopped by ~/estop; no joint states")


def test_home_moves_every_position_within_limits_and_ends_stopped():
    bench = Bench()
    bench.tick(2)
    answer = bench.operator.home(bench.now_ns)
    assert answer.done
    _homed(bench)
    tick = bench.ticks[-1]
    assert tick.state is ExecutorState.STOPPED
    assert tick.reason == "stopped by ~/home; at the home pose"
    assert tick.command == pytest.approx(np.zeros(4), abs=1e-6)
    assert_within_limits(bench.commands(), bench.robot)
    assert not bench.executor.commanded.hits.any()
    seconds = float(answer.message.split()[3])
    assert len(bench.ticks) * 0.02 == pytest.approx(seconds, abs=0.2)


def test_home_uses_no_more_than_its_share_of_the_velocity_limits():
    bench = Bench(homing_share=0.1)
    bench.tick(2)
    bench.operator.home(bench.now_ns)
    _homed(bench)
    velocity = np.diff(bench.commands(), axis=0) / 0.02
    assert (np.abs(velocity) <= 0.1 * bench.robot.limits.velocity + 1e-9).all()


def test_home_does_not_drive_the_base():
    bench = Bench()
    bench.tick(2)
    bench.operator.home(bench.now_ns)
    _homed(bench)
    assert not bench.commands()[:, 3].any()


@pytest.mark.parametrize("verb", ["stop", "estop"])
def test_homing_is_interrupted_by(verb):
    bench = Bench()
    bench.tick(2)
    bench.operator.home(bench.now_ns)
    assert bench.tick(20).state is ExecutorState.HOMING
    getattr(bench.operator, verb)()
    assert bench.tick().state is (
        ExecutorState.STOPPED if verb == "stop" else ExecutorState.ESTOPPED
    )
    bench.tick(40)
    assert not bench.ticks[-1].velocity.any()
    assert bench.ticks[-1].command[0] > 0.001
    assert_within_limits(bench.commands(), bench.robot)


def test_home_is_refused_while_driven_while_braking_and_while_estopped():
    bench = _moving()
    assert "'policy_a' drives the robot" in bench.operator.home(bench.now_ns).message
    bench.operator.stop()
    bench.tick()
    assert "still braking" in bench.operator.home(bench.now_ns).message
    bench.operator.estop()
    bench.tick(40)
    assert "call ~/reset first" in bench.operator.home(bench.now_ns).message


def test_home_is_refused_before_the_pose_is_known():
    bench = Bench()
    bench.joints_alive = False
    bench.tick()
    answer = bench.operator.home(bench.now_ns)
    assert not answer.done
    assert "no joint states on joint_states yet" in answer.message


def test_start_is_refused_on_the_way_home_and_chunks_are_too():
    bench = Bench()
    bench.tick(2)
    bench.operator.home(bench.now_ns)
    bench.tick()
    assert "on the way home" in bench.operator.start(bench.now_ns).message
    assert "stopped by ~/home" in bench.offer(START)
    assert bench.tick().state is ExecutorState.HOMING


def test_joint_states_that_stop_end_the_way_home():
    bench = Bench()
    bench.tick(2)
    bench.operator.home(bench.now_ns)
    bench.tick(5)
    bench.joints_alive = False
    bench.tick(40)
    bench.joints_alive = True
    tick = bench.tick(20)
    assert tick.state is ExecutorState.STOPPED
    assert "the arm is where it was commanded" in tick.reason
    assert not tick.velocity.any()


def test_start_and_home_begin_where_the_arm_is_measured():
    bench = Bench()
    bench.tick(2)
    bench.operator.stop()
    bench.tick()
    bench.elsewhere = np.add(START[:3], [0.3, 0.0, 0.0])  # moved by hand with its drives off
    bench.tick()
    bench.operator.start(bench.now_ns)
    assert bench.tick().command.tolist() == [*bench.elsewhere, 0.0]
