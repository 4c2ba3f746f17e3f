"""Each kind of actuator reaches its own safe stop."""

from __future__ import annotations

import numpy as np
from arm_with_base import Bench, assert_within_limits

from pi0_ros.control import ExecutorState
from pi0_ros.control.stop import ZEROS_SENT

MOVING = np.linspace(0.0, 1.0, 10)[:, None] * [0.3, 0.2, 0.3, 0.4] + [0.1, -0.2, 0.5, 0.0]


def _moving() -> Bench:
    bench = Bench()
    bench.tick()
    bench.offer(MOVING)
    bench.tick(8)
    assert np.abs(bench.ticks[-1].velocity).min() > 0.0
    return bench


def test_the_arm_brakes_within_limits_and_repeats_its_commanded_pose():
    bench = _moving()
    bench.executor.hold("test")
    bench.tick(30)
    assert_within_limits(bench.commands(), bench.robot)
    assert bench.ticks[-1].command[:2].tolist() == bench.ticks[-2].command[:2].tolist()
    assert bench.ticks[-1].publish[0]


def test_the_base_ramps_to_zero_then_stops_publishing():
    bench = _moving()
    bench.executor.hold("test")
    bench.tick(60)
    sent = [t.command[3] for t in bench.ticks if t.publish[2]]
    assert sent[-ZEROS_SENT:] == [0.0] * ZEROS_SENT
    assert sent[-ZEROS_SENT - 1] > 0.0
    assert not bench.ticks[-1].publish[2]


def test_the_base_publishes_again_with_the_next_chunk():
    bench = _moving()
    bench.executor.hold("test")
    bench.tick(60)
    bench.offer(MOVING)
    assert bench.tick().publish == (True, True, True)


def test_the_gripper_repeats_its_last_command():
    bench = _moving()
    bench.executor.hold("test")
    bench.tick(30)
    assert bench.ticks[-1].publish[1]
    assert bench.ticks[-1].command[2] == bench.ticks[-2].command[2] > 0.5


def test_before_the_first_chunk_only_the_arm_is_held():
    bench = Bench()
    tick = bench.tick(5)
    assert tick.state is ExecutorState.HOLDING
    assert tick.publish == (True, False, False)


def test_a_requested_stop_is_reached_and_takes_no_further_chunk():
    bench = _moving()
    bench.executor.end("deactivated")
    assert not bench.executor.is_stopped
    bench.tick(60)
    assert bench.executor.is_stopped
    assert bench.ticks[-1].reason == "deactivated"
    assert "deactivated" in bench.offer(MOVING)
    assert bench.tick().state is ExecutorState.HOLDING


def test_a_stop_before_joint_states_is_reached_at_once():
    bench = Bench()
    bench.joints_alive = False
    bench.tick()
    bench.executor.end("deactivated")
    assert bench.executor.is_stopped


def test_a_stop_cut_short_leaves_the_base_at_zero_and_the_arm_at_rest():
    bench = _moving()
    bench.executor.end("deactivated")
    tick = bench.tick()
    final = bench.executor.final(tick)
    assert final.command.tolist() == [*tick.command[:3], 0.0]
    assert final.velocity.tolist() == [0.0] * 4
    assert final.publish == tick.publish
