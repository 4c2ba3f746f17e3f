"""The state machine: events that start a motion, end it, or must not resume it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arm_with_base import MS, START, Bench, assert_within_limits, embodiment

from pi0_ros.control import ExecutorState


def _ramp(horizon: int) -> np.ndarray:
    return START + np.linspace(0.0, 0.1, horizon)[:, None] * [1.0, 1.0, 1.0, 0.5]


NEAR = _ramp(10)


def _executing(bench: Bench | None = None, ticks: int = 4) -> Bench:
    bench = bench or Bench()
    bench.tick(2)
    assert bench.offer(_ramp(bench.robot.rates.horizon)) is None
    assert bench.tick(ticks).state is ExecutorState.EXECUTING
    return bench


def test_waits_for_joint_states_and_names_the_topic_and_its_joints():
    bench = Bench()
    bench.joints_alive = False
    tick = bench.tick()
    assert tick.state is ExecutorState.WAITING
    assert "joint_states" in tick.reason
    assert "elbow_joint" in tick.reason
    assert tick.publish == (False, False, False)


def test_waits_and_names_a_joint_that_is_missing():
    bench = Bench()
    bench.joints_alive = False
    bench.joints(("shoulder_joint", "gripper_joint"), (0.0, 0.0))
    tick = bench.tick()
    assert tick.state is ExecutorState.WAITING
    assert "'elbow_joint' missing" in tick.reason


def test_takes_joints_by_name_whatever_their_order_and_number():
    bench = Bench()
    bench.joints_alive = False
    bench.joints(("lamp", "gripper_joint", "elbow_joint", "shoulder_joint"), (9.0, 3.0, 2.0, 1.0))
    assert bench.tick().command.tolist() == [1.0, 2.0, 3.0, 0.0]


def test_the_measured_pose_is_the_first_command():
    tick = Bench().tick()
    assert tick.state is ExecutorState.HOLDING
    assert tick.command.tolist() == START.tolist()
    assert tick.reason == "waiting for the first chunk"


def test_a_first_chunk_far_away_is_approached_within_limits():
    bench = Bench(embodiment(horizon=100))
    bench.tick()
    bench.offer([-1.5, 0.9, 0.0, 0.5])
    bench.tick(101)
    assert_within_limits(bench.commands(), bench.robot)
    assert bench.ticks[-1].command[0] < -1.0


def test_a_chunk_within_limits_is_followed_to_the_step():
    bench = Bench(embodiment(horizon=40))
    bench.tick()
    bench.offer(_ramp(40))
    bench.tick(30)  # the last quarter runs out more slowly
    assert bench.commands()[-10:] == pytest.approx(_ramp(40)[20:30], abs=1e-6)
    assert not bench.executor.commanded.hits.any()


def test_reports_the_step_and_the_steps_begun():
    bench = Bench()
    bench.tick()
    bench.offer(NEAR)
    seen = [(bench.tick().step, bench.ticks[-1].steps_consumed) for _ in range(3)]
    assert seen == [(0, 1), (1, 2), (2, 3)]
    assert bench.ticks[-1].chunk.sequence == 0


def test_20_hz_chunks_are_interpolated_on_50_hz_ticks():
    robot = embodiment(chunk_hz=20.0)
    bench = Bench(robot)
    bench.tick()
    bench.offer(NEAR)
    bench.tick(23)  # 9 steps of 50 ms are 22.5 ticks
    path = bench.commands()[1:, 0]
    assert len(np.unique(np.round(path, 9))) >= 20
    # A whole 50 ms step at once would be 2.5 of these; the start from rest catches up.
    assert np.diff(path).max() < 2.0 * (0.1 / 9) / 2.5
    assert [t.step for t in bench.ticks[1:7]] == [0, 0, 0, 1, 1, 2]


def test_an_exhausted_chunk_is_an_underrun_and_holds():
    bench = _executing(ticks=10)
    tick = bench.tick(3)
    assert tick.state is ExecutorState.HOLDING
    assert tick.reason == "chunk 0 is exhausted"
    assert bench.executor.underruns == 1


def test_a_new_chunk_replaces_the_old_one_within_limits():
    bench = _executing()
    bench.offer(NEAR - [0.3, 0.2, 0.1, 0.2])
    bench.tick(10)
    assert bench.ticks[-1].chunk.sequence == 1
    assert bench.executor.chunks_executed == 2
    assert_within_limits(bench.commands(), bench.robot)


def test_a_small_difference_between_chunks_causes_no_velocity_step():
    bench = _executing()
    bench.offer(NEAR + 0.01)
    bench.tick(8)
    velocity = np.diff(bench.commands()[:, 0]) / 0.02
    assert np.abs(np.diff(velocity)).max() < 0.2 - 0.04  # the limiter alone would take 0.2
    assert not bench.executor.commanded.hits.any()


@pytest.mark.parametrize("seed", range(5))
def test_chunks_that_contradict_themselves_are_smoothed_and_not_amplified(seed):
    noise = np.random.default_rng(seed)
    bench = Bench(embodiment(horizon=50))
    bench.tick(2)
    for _ in range(20):
        bench.offer(START + noise.normal(scale=0.03, size=(50, 4)))
        bench.tick(25)
    strayed = np.abs(bench.commands() - START)[:, :3].max()
    assert strayed < 0.15  # five standard deviations of the noise
    assert_within_limits(bench.commands(), bench.robot)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("jerk", [math.inf, 100.0])
def test_a_contradiction_every_tick_keeps_the_arm_near_what_all_chunks_say(seed, jerk):
    noise = np.random.default_rng(seed)
    bench = Bench(embodiment(horizon=50, jerk=jerk))
    bench.tick(2)
    for _ in range(150):
        bench.offer(START + noise.uniform(-0.1, 0.1, size=(50, 4)))
        bench.tick()
    assert np.abs(bench.commands() - START)[:, :3].max() < 0.15
    assert_within_limits(bench.commands(), bench.robot)


@pytest.mark.parametrize("rates", [(20.0, 50.0), (50.0, 50.0), (50.0, 500.0)])
def test_one_motion_cut_into_overlapping_chunks_is_that_motion(rates):
    bench = Bench(embodiment(*rates, horizon=50))

    def motion(now_ns: int, steps: np.ndarray) -> np.ndarray:
        s = np.clip((now_ns * 1e-9 - 1.0 + steps / rates[0]) / 5.0 - 0.02, 0.0, 1.0)
        return START + (s**2 * (1.5 - s))[:, None] * [0.8, -0.8, 0.6, 0.5]

    bench.tick()
    for _ in range(4):
        bench.offer(motion(bench.now_ns + bench.period_ns, np.arange(50.0)).astype(np.float64))
        bench.tick(int(0.3 * rates[1]))
    times = [t.now_ns for t in bench.ticks]
    expected = np.concatenate([motion(now_ns, np.zeros(1)) for now_ns in times])
    assert np.abs(bench.commands() - expected)[int(0.4 * rates[1]) :].max() < 1e-7  # float32 rows
    assert not bench.executor.hits.any()


def test_a_chunk_stamped_ahead_waits_for_its_time():
    bench = _executing()
    bench.offer(NEAR, stamp_ns=bench.now_ns + 3 * bench.period_ns)
    assert [bench.tick().chunk.sequence for _ in range(4)] == [0, 0, 1, 1]


def test_of_two_waiting_chunks_the_newer_is_taken():
    bench = _executing()
    bench.offer(NEAR, stamp_ns=bench.now_ns + 2 * bench.period_ns)
    bench.offer(NEAR, stamp_ns=bench.now_ns + 3 * bench.period_ns)
    assert [bench.tick().chunk.sequence for _ in range(4)] == [0, 0, 2, 2]


def test_a_refused_chunk_leaves_the_robot_held_and_is_counted():
    bench = Bench()
    bench.tick()
    assert "nan" in bench.offer(np.full(4, np.nan))
    assert bench.tick().state is ExecutorState.HOLDING
    assert bench.ticks[-1].command.tolist() == START.tolist()
    assert bench.executor.chunk_admission.refused.total() == 1


def test_a_refused_chunk_does_not_disturb_the_one_being_executed():
    bench = _executing()
    bench.offer(np.full(4, np.inf))
    assert bench.tick().chunk.sequence == 0


def test_a_stale_observation_holds_and_the_old_chunk_never_resumes():
    bench = _executing(Bench(embodiment(horizon=100)), ticks=2)
    bench.cameras_alive = False
    tick = bench.tick(26)  # 0.52 s
    assert tick.state is ExecutorState.HOLDING
    assert "observation is 0.52 s old (limit 0.5 s)" in tick.reason
    bench.cameras_alive = True
    assert bench.tick(3).state is ExecutorState.HOLDING
    bench.offer(np.broadcast_to(START, (100, 4)))
    assert bench.tick().chunk.sequence == 1


def test_a_frozen_camera_is_stale_though_messages_keep_coming():
    bench = _executing(Bench(embodiment(horizon=100)), ticks=2)
    bench.cameras_alive = False
    stamp = bench.now_ns
    for _ in range(26):
        bench.executor.observe(stamp, bench.now_ns)
        bench.tick()
    assert "observation is" in bench.ticks[-1].reason


def test_joint_states_going_silent_while_executing_hold():
    bench = _executing(Bench(embodiment(horizon=100)))
    bench.joints_alive = False
    tick = bench.tick(14)
    assert tick.state is ExecutorState.HOLDING
    assert "joint states on joint_states stopped" in tick.reason
    bench.joints_alive = True
    assert bench.tick(3).state is ExecutorState.HOLDING


def test_the_clock_jumping_back_drops_the_chunk_and_says_so():
    bench = _executing()
    bench.now_ns -= 500 * MS
    tick = bench.tick()
    assert tick.state is ExecutorState.HOLDING
    assert tick.reason == "the clock jumped back by 0.480 s"
    bench.tick(60)
    assert bench.ticks[-1].state is ExecutorState.HOLDING
    assert_within_limits(bench.commands(), bench.robot)


def test_after_the_clock_jumped_back_a_newer_chunk_is_taken():
    bench = _executing()
    bench.now_ns -= 500 * MS
    bench.tick(20)
    assert "where it was commanded" in bench.ticks[-1].reason
    assert bench.offer(NEAR) is None
    assert bench.tick().state is ExecutorState.EXECUTING


def test_the_clock_jumping_ahead_exhausts_the_chunk():
    bench = _executing()
    bench.now_ns += 5_000 * MS
    assert bench.tick().state is ExecutorState.HOLDING


def test_a_missed_tick_moves_one_nominal_period_further():
    bench = _executing()
    bench.now_ns += 2 * bench.period_ns
    bench.tick(3)
    assert [t.step for t in bench.ticks[-4:]] == [3, 6, 7, 8]
    assert_within_limits(bench.commands(), bench.robot)


def test_a_dead_chunk_source_ends_in_a_hold_and_another_may_take_over():
    bench = _executing()
    assert "'policy_b'" in bench.offer(NEAR, source_id="policy_b")
    bench.tick(110)
    assert bench.ticks[-1].state is ExecutorState.HOLDING
    assert bench.offer(START, source_id="policy_b", sequence=0) is None
    assert bench.tick().state is ExecutorState.EXECUTING
