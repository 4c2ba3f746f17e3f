"""chunk_executor in a graph, tick by tick in simulated time.

Over 300 lines: one node, one rig.
"""

from __future__ import annotations

import gc
from array import array
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from executor_rig import HORIZON, JOINTS, MEASURED, START, Rig, joint_states
from geometry_msgs.msg import TwistStamped
from harness import Graph
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.nodes.chunk_executor import node as chunk_executor
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor

WAITING, HOLDING, EXECUTING = (
    ExecutorStatus.WAITING,
    ExecutorStatus.HOLDING,
    ExecutorStatus.EXECUTING,
)
RAMP = np.array(MEASURED) + np.linspace(0.0, 0.1, HORIZON)[:, None] * [1.0, 1.0, 1.0, 2.0]
SENTINEL = Float64MultiArray(data=[99.0])
SENTINEL_TWIST = TwistStamped()
SENTINEL_TWIST.twist.angular.y = 99.0


@pytest.fixture
def rig(ros: Graph, tmp_path: Path) -> Rig:
    return Rig(ros, tmp_path)


def _executing(rig: Rig) -> None:
    rig.until(HOLDING)
    rig.offer(RAMP)
    assert rig.tick(4).state == EXECUTING


def test_an_unknown_embodiment_fails_configure_with_its_name(ros: Graph) -> None:
    node = ros.add(ChunkExecutor, {"embodiment": "ur6e"})
    assert "ur6e" in node.failure


def test_a_missing_embodiment_fails_configure_and_lists_the_known_ones(ros: Graph) -> None:
    node = ros.add(ChunkExecutor)
    assert "ur5e" in node.failure


def test_a_bad_tuning_parameter_fails_configure_with_its_value(ros: Graph) -> None:
    node = ros.add(ChunkExecutor, {"embodiment": "ur5e", "splice_s": -1.0})
    assert node.failure == "splice_s is -1.0; give a time above 0 s"


def test_waits_and_names_the_joint_that_joint_states_lack(rig: Rig) -> None:
    lacking = joint_states(("shoulder_joint", "finger_joint"), (0.0, 0.0))
    status = rig.until(WAITING)
    for _ in range(50):
        if "'elbow_joint' missing" in status.reason:
            break
        status = rig.tick(joints=lacking)
    assert "'elbow_joint' missing" in status.reason
    assert status.state == WAITING
    assert rig.settle(rig.arm, 0, SENTINEL) == []


def test_holds_the_measured_pose_before_the_first_chunk(rig: Rig) -> None:
    status = rig.until(HOLDING)
    assert status.reason == "waiting for the first chunk"
    assert list(status.command) == pytest.approx(MEASURED)
    assert [list(m.data) for m in rig.settle(rig.arm, 0, SENTINEL)] == [[0.1, -0.2]]
    assert rig.settle(rig.gripper, 1, SENTINEL) == []


def test_extra_and_reordered_joints_are_matched_by_name(rig: Rig) -> None:
    names, position = ("lamp", *reversed(JOINTS)), (9.0, *reversed(START))
    status = rig.until(HOLDING, joints=joint_states(names, position))
    assert list(status.command) == pytest.approx(MEASURED)


def test_a_first_chunk_far_away_is_approached_without_a_jump(rig: Rig) -> None:
    rig.until(HOLDING)
    rig.offer([1.5, -1.5, 0.5, 0.0])
    assert rig.tick(HORIZON - 1).state == EXECUTING
    path = np.array([m.data for m in rig.settle(rig.arm, 0, SENTINEL)])
    velocity = np.diff(path, axis=0) / 0.02
    assert path[0] == pytest.approx(MEASURED[:2])
    assert 0.3 < np.abs(velocity).max() <= 2.0 + 1e-9
    assert np.abs(np.diff(velocity, axis=0) / 0.02).max() <= 10.0 + 1e-6


def test_gripper_commands_are_in_driver_units(rig: Rig) -> None:
    _executing(rig)
    value = rig.statuses[-1].command[2]
    sent = rig.settle(rig.gripper, 1, SENTINEL)
    assert list(sent[-1].data) == pytest.approx([value / 2.0])


def test_reports_the_chunk_its_step_and_its_checkpoint(rig: Rig) -> None:
    _executing(rig)
    status = rig.statuses[-1]
    assert (status.chunk_sequence, status.chunk_step, status.steps_consumed) == (0, 3, 4)
    assert (status.checkpoint_id, status.chunk_horizon) == ("tiny-0000", HORIZON)
    assert (status.chunks_accepted, status.chunks_executed) == (1, 1)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"data": array("f", [float("nan")] * 4 * HORIZON)}, "nan for 'shoulder' at step 0"),
        ({"action_names": ["shoulder", "elbow", "gripper", "wing"]}, "unknown 'wing'"),
        ({"horizon": 10}, "horizon is 10"),
        ({"data": array("f", [0.0] * 7)}, "carries 7 numbers"),
        ({"embodiment": "ur5e"}, "for embodiment 'ur5e'"),
    ],
    ids=["nan", "names", "horizon", "length", "embodiment"],
)
def test_a_bad_chunk_is_refused_with_its_reason_and_counted_while_the_robot_holds(
    rig: Rig, what: dict, words: str
) -> None:
    rig.until(HOLDING)
    rig.offer(RAMP, **what)
    status = rig.tick()
    assert status.state == HOLDING
    assert status.chunks_refused == 1
    assert words in status.last_refusal
    assert list(status.command) == pytest.approx(MEASURED)


def test_a_second_policy_is_refused_by_id(rig: Rig) -> None:
    _executing(rig)
    rig.offer(RAMP, source_id="intruder")
    status = rig.tick()
    assert "'intruder'" in status.last_refusal
    assert (status.state, status.chunk_sequence) == (EXECUTING, 0)


def test_an_exhausted_chunk_holds_and_is_an_underrun(rig: Rig) -> None:
    _executing(rig)
    status = rig.tick(HORIZON + 5)
    assert (status.state, status.reason, status.underruns) == (
        HOLDING,
        "chunk 0 is exhausted",
        1,
    )
    assert rig.tick(30).command == rig.tick().command


def test_a_stale_observation_holds_and_only_a_newer_chunk_resumes(rig: Rig) -> None:
    rig.until(HOLDING)
    rig.offer(np.array(MEASURED))
    assert rig.tick().state == EXECUTING
    status = rig.until(HOLDING, cameras=False)
    assert "observation is 0.22 s old (limit 0.2 s)" in status.reason
    assert rig.tick(3).state == HOLDING
    rig.offer(RAMP)
    status = rig.tick()
    assert (status.state, status.chunk_sequence) == (EXECUTING, 1)


def test_20_hz_chunks_are_interpolated_on_50_hz_ticks(ros: Graph, tmp_path: Path) -> None:
    rig = Rig(ros, tmp_path, chunk_hz=20)
    rig.until(HOLDING)
    rig.offer(RAMP)
    rig.tick(40)
    path = np.array([m.data for m in rig.settle(rig.arm, 0, SENTINEL)])[-22:-2, 0]
    assert np.diff(path) == pytest.approx(0.1 / (HORIZON - 1) * 0.4, abs=1e-6)


def test_trajectories_carry_velocities_and_end_at_rest(ros: Graph, tmp_path: Path) -> None:
    rig = Rig(ros, tmp_path, arm="joint_trajectory")
    rig.until(HOLDING)
    rig.offer(RAMP)
    rig.tick(4)
    rig.ros.spin_until(lambda: len(rig.arm) == 5, what="five trajectories")
    still, moving = rig.arm[0], rig.arm[-1]
    assert list(moving.joint_names) == ["shoulder_joint", "elbow_joint"]
    assert [list(p.velocities) for p in still.points] == [[0.0, 0.0]]
    setpoint, stop = moving.points
    assert min(setpoint.velocities) > 0.0
    assert setpoint.time_from_start.nanosec == 20_000_000
    assert list(stop.velocities) == [0.0, 0.0]
    assert stop.positions[0] > setpoint.positions[0]
    assert stop.time_from_start.nanosec > setpoint.time_from_start.nanosec


def test_the_base_ramps_to_zero_and_then_stops_publishing(rig: Rig) -> None:
    _executing(rig)
    rig.tick(HORIZON + 40)
    sent = [m.twist.linear.x for m in rig.settle(rig.base, 2, SENTINEL_TWIST)]
    assert len(sent) < len(rig.arm) - 10
    assert sent[-3:] == [0.0, 0.0, 0.0]
    assert sent[-4] > 0.0
    assert rig.base[0].header.frame_id == "base_link"


def test_deactivate_while_moving_brakes_within_limits_and_then_publishes_nothing(rig: Rig) -> None:
    _executing(rig)
    rig.node.trigger_deactivate()
    rig.ros.spin_until(
        lambda: rig.statuses[-1].state == ExecutorStatus.INACTIVE, what="INACTIVE is said"
    )
    rig.offer_unheard(RAMP)
    path = np.array([m.data for m in rig.settle(rig.arm, 0, SENTINEL)])
    velocity = np.diff(path, axis=0) / 0.02
    assert np.abs(velocity[3]).min() > 0.0
    assert velocity[-1].tolist() == [0.0, 0.0]
    assert np.abs(np.diff(velocity, axis=0) / 0.02).max() <= 10.0 + 1e-6
    assert rig.settle(rig.base, 2, SENTINEL_TWIST)[-1].twist.linear.x == 0.0
    assert rig.statuses[-1].state == ExecutorStatus.INACTIVE


def test_activated_again_it_begins_from_the_measured_pose(rig: Rig) -> None:
    _executing(rig)
    rig.node.trigger_deactivate()
    rig.node.trigger_activate()
    elsewhere = joint_states(position=(0.5, 0.5, 0.25))
    status = rig.until(HOLDING, joints=elsewhere)
    assert list(status.command) == pytest.approx([0.5, 0.5, 0.5, 0.0])


def test_the_clock_jumping_back_holds_and_says_so(rig: Rig) -> None:
    _executing(rig)
    rig.now_ns -= 1_000_000_000
    status = rig.tick()
    assert status.state == HOLDING
    assert "clock jumped back" in status.reason
    assert "the arm is where it was commanded" in rig.tick(20).reason
    rig.offer(RAMP)
    assert rig.tick().state == EXECUTING


def test_a_skipped_tick_is_counted_as_missed(rig: Rig) -> None:
    rig.until(HOLDING)
    before = rig.statuses[-1].missed_ticks
    rig.now_ns += 60_000_000
    assert rig.tick().missed_ticks == before + 3


def test_a_fault_in_a_tick_is_counted_and_the_next_one_holds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _executing(rig)
    with monkeypatch.context() as patch:
        patch.setattr(rig.node.outputs, "send", _broken)
        rig.now_ns += 20_000_000
        rig.clock_only()
    status = rig.tick()
    assert status.state == HOLDING
    assert status.reason == "fault in the tick: controller unplugged"


def _broken(_tick: object) -> None:
    raise RuntimeError("controller unplugged")


def test_reports_itself_on_diagnostics(rig: Rig) -> None:
    heard = rig.ros.collect(DiagnosticArray, "/diagnostics", 10)
    _executing(rig)
    rig.offer(RAMP, horizon=3)
    rig.tick()
    rig.ros.spin_until(rig.node._diagnostics._publisher.get_subscription_count, what="connected")
    rig.node._diagnostics.publish()
    rig.ros.spin_until(lambda: heard, what="diagnostics")
    status = heard[-1].status[0]
    values = {pair.key: pair.value for pair in status.values}
    assert status.name == "chunk_executor: executor"
    assert status.hardware_id == "small_robot"
    assert values["refused_horizon"] == "1"
    assert values["checkpoint_id"] == "tiny-0000"


def test_clock_messages_between_deadlines_cause_no_tick(rig: Rig) -> None:
    rig.until(HOLDING)
    ticks = rig.statuses[-1].ticks
    for offset in (5, 10, 15):
        rig._clock.publish(Clock(clock=rig.stamp_in(offset)))
        rig.ros.spin_until(lambda o=offset: rig.clock_is_at(o), what="the clock")
    assert rig.tick().ticks == ticks + 1


@pytest.mark.parametrize("failing", ["send", "flush"])
def test_a_stop_that_fails_midway_hands_memory_scheduling_and_garbage_back(
    ros: Graph, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    undone: list[str] = []
    monkeypatch.setattr(chunk_executor, "lock_memory", lambda: "locked")
    for name in ("unlock_memory", "ordinary_priority"):
        monkeypatch.setattr(chunk_executor, name, lambda name=name: undone.append(name))
    node = ros.add(ChunkExecutor, {"embodiment": "ur5e", "priority": 0})
    assert not gc.isenabled()
    ros.spin_until(lambda: node._last is not None, what="a tick")

    def fail(*_: object) -> None:
        raise OSError("the middleware's own")

    monkeypatch.setattr(node.outputs, failing, fail)
    node.trigger_deactivate()
    assert node.failure == "the middleware's own"
    assert gc.isenabled()
    assert undone == ["unlock_memory", "ordinary_priority"]
    assert node._ticks is None
