"""Faults in simulated time: the reaction within limits, and the event that ends it.

The table in docs/reference/chunk_executor.md names these tests.

Over 300 lines: the table of faults of the reference, each with its test.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_rig import (
    HORIZON,
    JOINTS,
    MEASURED,
    START,
    Rig,
    assert_path_within_limits,
    joint_states,
    stamp,
)
from harness import Graph
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.nodes.camera_sync import CameraSync
from pi0_ros.nodes.managed import SENSOR_QOS

HOLDING, EXECUTING = ExecutorStatus.HOLDING, ExecutorStatus.EXECUTING
RAMP = np.array(MEASURED) + np.linspace(0.0, 0.2, HORIZON)[:, None] * [1.0, 1.0, 1.0, 1.0]


@pytest.fixture
def rig(ros: Graph, tmp_path: Path) -> Rig:
    rig = Rig(ros, tmp_path)
    rig.until(HOLDING)
    return rig


def _executing(rig: Rig, ticks: int = 6) -> None:
    rig.offer(RAMP)
    assert rig.tick(ticks).state == EXECUTING
    assert min(rig.statuses[-1].command_velocity) > 0.1


def _recovers(rig: Rig) -> None:
    """Only a chunk that is computed from a new observation executes."""
    assert rig.tick(3).state == HOLDING
    rig.offer(np.array(rig.statuses[-1].command))
    status = rig.tick()
    assert (status.state, status.chunk_sequence) == (EXECUTING, rig.sequence - 1)
    assert_path_within_limits(rig.path_sent())


def test_a_policy_ten_times_slower_holds_between_its_chunks(rig: Rig) -> None:
    _executing(rig)
    seen_ns = rig.now_ns
    status = rig.tick(5 * HORIZON)
    assert (status.state, status.reason) == (HOLDING, "chunk 0 is exhausted")
    rig.offer(RAMP, header=Header(stamp=stamp(seen_ns)), observation_stamp=stamp(seen_ns))
    status = rig.tick()
    assert status.state == HOLDING
    assert "chunk ended 1." in status.last_refusal
    rig.offer(np.array(status.command), observation_stamp=rig.stamp_in(-1500))
    assert rig.tick().state == EXECUTING
    status = rig.tick(2 * HORIZON)
    assert (status.state, status.underruns) == (HOLDING, 2)
    assert_path_within_limits(rig.path_sent())


def test_a_camera_that_stops_ends_in_a_hold(ros: Graph, tmp_path: Path) -> None:
    rig, camera = _with_camera(ros, tmp_path)
    camera.frames(3)
    rig.offer(np.array(MEASURED))
    assert camera.frames(1).state == EXECUTING
    status = rig.until(HOLDING, cameras=False)
    assert "observation is 0.2" in status.reason
    assert "(limit 0.2 s)" in status.reason
    camera.frames(4)
    rig.offer(np.array(MEASURED))
    assert camera.frames(1).state == EXECUTING


def test_a_frozen_camera_ends_in_a_hold_though_frames_keep_coming(
    ros: Graph, tmp_path: Path
) -> None:
    rig, camera = _with_camera(ros, tmp_path)
    camera.frames(3)
    rig.offer(np.array(MEASURED))
    assert camera.frames(1).state == EXECUTING
    frozen_ns = rig.now_ns
    status = camera.frames(15, stamp_ns=frozen_ns)
    assert status.state == HOLDING
    assert "observation is 0." in status.reason
    camera.frames(4)
    rig.offer(np.array(MEASURED))
    assert camera.frames(1).state == EXECUTING


class _Camera:
    """The robot's only camera, seen by a real camera_sync."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._publisher = rig.ros.publisher(Image, "top/image", SENSOR_QOS)
        rig.ros.spin_until(self._publisher.get_subscription_count, what="camera_sync listens")

    def frames(self, count: int, stamp_ns: int | None = None) -> Any:
        """Send a frame before each of ``count`` ticks; returns the last status."""
        for _ in range(count):
            self._rig.ros.spin_some()
            frame = Image(width=64, height=48, encoding="rgb8", step=192)
            frame.data = array("B", bytes(64 * 48 * 3))
            frame.header.stamp = stamp(stamp_ns or self._rig.now_ns)
            self._publisher.publish(frame)
            self._rig.tick(cameras=False)
        return self._rig.statuses[-1]


def _with_camera(ros: Graph, folder: Path) -> tuple[Rig, _Camera]:
    rig = Rig(ros, folder)
    sync = ros.add(CameraSync, {"embodiment": rig.path, "use_sim_time": True, "image_size": 64})
    assert sync.failure is None
    camera = _Camera(rig)
    rig.until(HOLDING, cameras=False)
    return rig, camera


def test_joint_states_that_stop_end_in_a_hold_that_repeats_no_pose(rig: Rig) -> None:
    _executing(rig)
    for _ in range(40):
        rig.tick_without_joints()
    status = rig.statuses[-1]
    assert status.state == HOLDING
    assert "joint states on joint_states stopped" in status.reason
    sent = len(rig.path_sent())
    for _ in range(5):
        rig.tick_without_joints()
    assert len(rig.path_sent()) == sent
    rig.tick(8)
    _recovers(rig)


def test_joint_states_that_repeat_their_stamp_end_in_a_hold_that_repeats_no_pose(rig: Rig) -> None:
    _executing(rig)
    frozen = rig.measured(), rig.now_ns
    for _ in range(40):
        rig.tick_with_frozen_joints(*frozen)
    status = rig.statuses[-1]
    assert status.state == HOLDING
    assert "joint_states arrive with a stamp that has not advanced" in status.reason
    assert status.reason.endswith("the driver has frozen")
    sent = len(rig.path_sent())
    for _ in range(5):
        rig.tick_with_frozen_joints(*frozen)
    assert len(rig.path_sent()) == sent
    rig.tick(8)
    _recovers(rig)


def test_an_arm_moved_while_joint_states_were_missing_is_not_commanded_back(rig: Rig) -> None:
    _executing(rig)
    for _ in range(40):
        rig.tick_without_joints()
    sent = len(rig.path_sent())
    moved = joint_states(position=(0.6, 0.4, 0.3))
    status = rig.tick(10, joints=moved)
    assert "the measured pose is held" in status.reason
    assert status.state == HOLDING
    back = rig.path_sent()[sent:]
    assert back.tolist() == [[0.6, 0.4]] * len(back)
    assert len(back) > 0


def test_joint_states_reordered_and_with_extra_joints_change_nothing(rig: Rig) -> None:
    _executing(rig)
    measured = dict(zip(JOINTS, rig.measured().position, strict=True))
    names = ("lamp", *reversed(JOINTS))
    message = joint_states(names, (9.0, *(measured[name] for name in reversed(JOINTS))))
    assert rig.tick(5, joints=message).state == EXECUTING
    assert_path_within_limits(rig.path_sent())


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"data": array("f", [float("nan")] * 4 * HORIZON)}, "nan for 'shoulder' at step 0"),
        ({"data": array("f", [float("inf")] * 4 * HORIZON)}, "inf for 'shoulder' at step 0"),
        ({"action_names": ["shoulder", "elbow", "gripper", "wing"]}, "unknown 'wing'"),
        ({"horizon": 10}, "horizon is 10"),
        ({"stamp_ms": -500}, "chunk ended 0."),
        ({"observation_ms": -2500}, "an observation 2.5"),
        ({"stamp_ms": 700}, "0.700 s ahead of the clock"),
        ({"source_id": "intruder"}, "'intruder' while 'test' drives the robot"),
    ],
    ids=["nan", "inf", "names", "horizon", "stale", "old_observation", "future", "two_policies"],
)
def test_a_bad_chunk_is_refused_and_the_good_one_goes_on(
    rig: Rig, what: dict[str, Any], words: str
) -> None:
    _executing(rig)
    changes = dict(what)
    if "stamp_ms" in changes:
        changes["header"] = Header(stamp=rig.stamp_in(changes.pop("stamp_ms")))
    if "observation_ms" in changes:
        changes["observation_stamp"] = rig.stamp_in(changes.pop("observation_ms"))
    rig.offer(RAMP, **changes)
    status = rig.tick()
    assert words in status.last_refusal
    assert status.chunks_refused == 1
    assert (status.state, status.chunk_sequence) == (EXECUTING, 0)
    assert rig.tick(HORIZON + 5).state == HOLDING
    assert_path_within_limits(rig.path_sent())


def test_the_clock_jumping_back_while_moving_holds_within_limits(rig: Rig) -> None:
    _executing(rig)
    rig.now_ns -= 1_000_000_000
    status = rig.tick()
    assert (status.state, status.reason) == (HOLDING, "the clock jumped back by 0.980 s")
    assert "where it was commanded" in rig.tick(20).reason
    _recovers(rig)


def test_the_clock_jumping_ahead_while_moving_holds_where_the_arm_is(rig: Rig) -> None:
    _executing(rig)
    commanded = list(rig.statuses[-1].command)
    rig.now_ns += 1_000_000_000
    status = rig.tick()
    assert (status.state, status.reason) == (HOLDING, "no tick for 1.02 s")
    assert list(status.command) == [*commanded[:3], 0.0]
    assert list(status.command_velocity) == [0.0] * 4
    assert rig.tick(10).reason.startswith("after no tick for 1.02 s the arm is where")
    rig.offer(np.array(rig.statuses[-1].command))
    assert rig.tick().state == EXECUTING


def test_started_while_the_arm_moves_it_brakes_from_there_and_does_not_jump(
    ros: Graph, tmp_path: Path
) -> None:
    rig = Rig(ros, tmp_path)
    moving = joint_states(position=START, velocity=(1.0, -0.6, 0.0))
    rig.until(HOLDING, joints=moving)
    rig.tick(20, joints=moving)
    path = np.concatenate(([MEASURED[:2]], rig.path_sent()))
    velocity = np.diff(path, axis=0) / 0.02
    assert velocity[0] == pytest.approx([0.8, -0.4])
    assert_path_within_limits(path)
    assert velocity[-1].tolist() == [0.0, 0.0]


def test_estop_while_moving_brakes_within_limits_and_stays(rig: Rig) -> None:
    _executing(rig)
    moving = np.abs(rig.statuses[-1].command_velocity)
    rig.ask("estop")
    status = rig.tick()
    assert (status.state, status.reason) == (ExecutorStatus.ESTOPPED, "e-stopped by ~/estop")
    assert (np.abs(status.command_velocity) < moving).all()
    rig.offer(RAMP)
    status = rig.tick(30)
    assert status.state == ExecutorStatus.ESTOPPED
    assert list(status.command_velocity) == [0.0] * 4
    rig.ask("reset")
    rig.ask("start")
    rig.tick()
    _recovers(rig)


def test_without_a_subscriber_on_an_arm_topic_the_robot_holds_until_there_is_one(
    rig: Rig,
) -> None:
    _executing(rig)
    rig.drop_arm_subscriber()
    rig.ros.spin_until(
        lambda: rig.node.outputs.unsubscribed()[0],
        what="the executor sees no subscriber",
    )
    status = rig.tick(55)
    assert status.state == HOLDING
    assert status.reason == "no controller listens on arm/commands; start or activate it"
    rig.offer(RAMP)
    assert rig.tick(2).state == HOLDING
    rig.listen_to_arm()
    assert rig.tick(2).reason == "waiting for a newer chunk"
    rig.offer(np.array(rig.statuses[-1].command))
    assert rig.tick().state == EXECUTING


def test_a_deactivated_executor_brakes_within_limits_and_then_is_silent(rig: Rig) -> None:
    _executing(rig)
    rig.node.trigger_deactivate()
    rig.ros.spin_until(
        lambda: rig.statuses[-1].state == ExecutorStatus.INACTIVE, what="INACTIVE is said"
    )
    rig.offer_unheard(RAMP)
    path = rig.path_sent()
    assert path[-1].tolist() == path[-2].tolist()
    assert_path_within_limits(path)
    rig.node.trigger_activate()
    assert rig.until(HOLDING).reason == "waiting for the first chunk"
    assert rig.tick(5).state == HOLDING
