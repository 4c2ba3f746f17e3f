"""A state source of another package: read by the executor and by camera_sync, sent by the mock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import Graph
from installed import Install
from nav_msgs.msg import Odometry

from pi0_bringup.mock_robot import MockRobot
from pi0_ros.control import ExecutorState
from pi0_ros.dataset.export.messages import joint_messages
from pi0_ros.embodiment import Embodiment, EmbodimentError, JointStatePacker, load
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor
from pi0_ros.nodes.managed import SENSOR_QOS

YAML = """
name: cart
description: A cart that is commanded to a place.
rates: {chunk_hz: 50, control_hz: 50, joint_state_hz: 50, horizon: 20, execution_steps: 10}
sync: {camera_skew_s: 0.05, state_skew_s: 0.05, max_age_s: 0.3, observation_timeout_s: 0.5}
cameras:
  front: {slot: base_0_rgb, topic: front/image, encoding: rgb8, width: 64, height: 48, rate_hz: 30}
absent_slots: [left_wrist_0_rgb, right_wrist_0_rgb]
state:
  - {topic: place, message_type: nav_msgs/msg/Odometry, unit: m, dimensions: {
      forward: {joint: x, slots: [0, 0]}}}
action:
  - {unit: m, limits: {lower: -1.0, upper: 1.0, velocity: 1.0, acceleration: 5.0}, dimensions: {
      forward: {joint: x, slots: [0, 0], home: 0.25}}}
controllers:
  drive: {kind: forward_position, topic: drive/commands, dimensions: [forward]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "cart.yaml"
    file.write_text(YAML, encoding="utf-8")
    return file


def add_odometry(install: Install) -> None:
    install("pi0_ros.state_sources", "nav_msgs/msg/Odometry = lab_odometry:LabOdometry")


def test_without_the_package_the_known_messages_are_named(path: Path) -> None:
    with pytest.raises(
        EmbodimentError, match=r"state\[0\]\.message_type: 'nav_msgs/msg/Odometry' "
    ):
        load(path)


def test_the_executor_knows_where_the_mock_robot_is(
    ros: Graph, install: Install, path: Path
) -> None:
    add_odometry(install)
    places = ros.collect(Odometry, "place", SENSOR_QOS)
    robot = ros.add(MockRobot, {"embodiment": str(path)})
    executor = ros.add(ChunkExecutor, {"embodiment": str(path)})
    assert robot.failure is None and executor.failure is None
    ros.spin_until(lambda: places, what="the mock's odometry")
    assert places[-1].pose.pose.position.x == 0.25
    ros.spin_until(
        lambda: executor._last is not None and executor._last.state is ExecutorState.HOLDING,
        what="the executor knows the pose",
    )
    np.testing.assert_allclose(executor.core.joints.action(), [0.25])


def test_a_topic_has_one_message_type(install: Install, path: Path) -> None:
    add_odometry(install)
    group = "  - {topic: place, unit: m/s, field: velocity, dimensions: {\n"
    second = group + "      speed: {joint: x, slots: [1, 1]}}}\naction:\n"
    path.write_text(YAML.replace("action:\n", second), encoding="utf-8")
    complaint = r"state\[1\]\.message_type: '.*JointState', but 'place' carries '.*Odometry' above"
    with pytest.raises(EmbodimentError, match=complaint):
        load(path)


def test_a_dataset_gives_its_messages_back(install: Install, path: Path) -> None:
    add_odometry(install)
    robot: Embodiment = load(path)
    (message,) = joint_messages(robot, 10**9, np.array([0.5])).values()
    assert message.header.stamp.sec == 1
    assert JointStatePacker(robot).read("place", message)[1].tolist() == [0.5]
