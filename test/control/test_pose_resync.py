"""An arm that was moved while its pose was unknown is never commanded back with a jump."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import MS, START, Bench, assert_within_limits, embodiment

from pi0_ros.control import ExecutorState

RAMP = START + np.linspace(0.0, 1.0, 100)[:, None] * [1.0, 0.5, 0.3, 0.4]
MOVED = np.array([0.5, 0.4, 0.1])


def _executing() -> Bench:
    bench = Bench(embodiment(horizon=100))
    bench.tick(2)
    bench.offer(RAMP)
    assert bench.tick(10).state is ExecutorState.EXECUTING
    return bench


def _outage(bench: Bench, ticks: int = 60) -> None:
    bench.joints_alive = False
    bench.tick(ticks)


def test_in_an_outage_the_robot_brakes_and_then_repeats_no_pose():
    bench = _executing()
    _outage(bench)
    assert_within_limits(bench.commands(), bench.robot)
    assert not bench.ticks[-1].velocity.any()
    assert bench.ticks[-1].publish == (False, False, False)
    assert "joint states on joint_states stopped" in bench.ticks[-1].reason


def test_an_arm_moved_in_the_outage_is_held_where_it_is_measured():
    bench = _executing()
    _outage(bench)
    bench.elsewhere, bench.joints_alive = MOVED, True
    tick = bench.tick(10)
    assert tick.command[:2].tolist() == MOVED[:2].tolist()
    assert not tick.velocity.any()
    assert "'elbow' is 0." in tick.reason
    assert "the measured pose is held" in tick.reason
    first = next(t for t in bench.ticks[-10:] if t.publish[0])
    assert first.command[:2].tolist() == MOVED[:2].tolist()


def test_a_gripper_kept_apart_by_what_it_holds_keeps_its_command():
    bench = _executing()
    _outage(bench)
    commanded = bench.ticks[-1].command[2]
    bench.elsewhere, bench.joints_alive = MOVED, True
    assert bench.tick(10).command[2] == commanded


def test_an_arm_that_sagged_less_than_the_tolerance_keeps_its_command():
    bench = _executing()
    _outage(bench)
    commanded = bench.ticks[-1].command
    bench.elsewhere, bench.joints_alive = np.subtract(commanded[:3], [0.04, 0.0, 0.0]), True
    tick = bench.tick(10)
    assert tick.command.tolist() == commanded.tolist()
    assert "the arm is where it was commanded" in tick.reason


def test_after_an_outage_only_a_chunk_seen_since_executes():
    bench = _executing()
    _outage(bench)
    seen_ns = bench.now_ns
    bench.joints_alive = True
    bench.tick(10)
    assert "older than" in bench.offer(RAMP, observation_stamp_ns=seen_ns)
    assert bench.offer(RAMP) is None
    assert bench.tick().state is ExecutorState.EXECUTING


def test_after_a_gap_between_ticks_no_motion_continues_and_the_measured_pose_is_held():
    bench = _executing()
    bench.now_ns += 1000 * MS
    bench.elsewhere = np.add(bench.ticks[-1].command[:3], [0.02, 0.0, 0.0])
    tick = bench.tick()
    assert tick.state is ExecutorState.HOLDING
    assert tick.reason == "no tick for 1.02 s"
    assert not tick.velocity.any()
    assert not tick.publish[0]
    tick = bench.tick(10)
    assert tick.command[0] == bench.elsewhere[0]
    assert bench.ticks[-1].publish[0]


def test_after_a_gap_the_base_is_sent_zeros_and_no_ramp():
    bench = _executing()
    assert bench.ticks[-1].command[3] > 0.0
    bench.now_ns += 1000 * MS
    bench.tick(10)
    sent = [t.command[3] for t in bench.ticks[-10:] if t.publish[2]]
    assert sent == [0.0, 0.0, 0.0]


def test_a_simulation_reset_puts_the_arm_elsewhere_without_a_jump_of_the_command():
    bench = _executing()
    bench.now_ns -= 500 * MS
    bench.elsewhere = MOVED
    bench.tick(40)
    sent = np.array([t.command[:2] for t in bench.ticks if t.publish[0]])
    at = int(np.argmax(np.abs(np.diff(sent, axis=0)).max(axis=1)))
    assert sent[at + 1].tolist() == MOVED[:2].tolist()


def test_a_restart_takes_the_measured_velocity_and_brakes_from_it():
    bench = Bench()
    bench.executor.joints.heard("joint_states", bench.now_ns)
    names = tuple(d.joint for d in bench.robot.state)
    bench.executor.joints.update("joint_states", names, tuple(START[:3]), (1.0, -0.5, 0.0), ())
    bench.joints_alive = False
    bench.tick(10)
    path = np.concatenate((START[None], bench.commands()))
    velocity = np.diff(path, axis=0) / 0.02
    assert velocity[0] == pytest.approx([0.8, -0.3, 0.0, 0.0])
    assert np.abs(np.diff(velocity, axis=0) / 0.02).max() <= 10.0 + 1e-6
    assert not bench.ticks[-1].velocity.any()


def test_without_velocities_the_start_waits_for_a_second_message_and_its_stamp():
    bench = Bench()
    bench.joints_alive = False
    names = tuple(d.joint for d in bench.robot.state)
    joints = bench.executor.joints
    joints.heard("joint_states", bench.now_ns)
    joints.update("joint_states", names, (0.0, 0.0, 0.5), (), (), bench.now_ns)
    assert "carry no velocity" in bench.tick().reason
    joints.update("joint_states", names, (0.02, 0.0, 0.5), (), (), bench.now_ns)
    assert bench.tick().state is ExecutorState.HOLDING
    assert bench.ticks[-1].velocity[0] == pytest.approx(0.8)


def test_a_restart_in_motion_brakes_within_a_jerk_limit_too():
    bench = Bench(embodiment(control_hz=200.0, jerk=200.0))
    names = tuple(d.joint for d in bench.robot.state)
    bench.executor.joints.heard("joint_states", bench.now_ns)
    bench.executor.joints.update("joint_states", names, tuple(START[:3]), (0.5, 0.0, 0.0), ())
    bench.joints_alive = False
    bench.tick(45)
    shoulder = np.concatenate(([START[0] - 0.5 * 0.005], START[:1], bench.commands()[:, 0]))
    change = np.diff(shoulder, n=2) / 0.005**2
    assert np.abs(change).max() <= 10.0 + 1e-6
    assert np.abs(np.diff(change)).max() / 0.005 <= 200.0 + 1e-3
    assert not bench.ticks[-1].velocity.any()


def test_a_few_missed_ticks_are_no_gap_however_slow_the_ticks():
    bench = Bench(embodiment(control_hz=10.0, horizon=100))
    bench.tick(2)
    bench.offer(RAMP)
    bench.tick(5)
    bench.now_ns += 3 * bench.period_ns
    assert bench.tick().state is ExecutorState.EXECUTING
