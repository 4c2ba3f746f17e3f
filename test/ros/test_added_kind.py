"""A controller kind of another package: one file and an entry point, and everything works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from executor_rig import Rig, robot_file
from harness import Graph
from installed import Install
from recorder_rig import Operator
from sensor_msgs.msg import JointState
from std_msgs.msg import Float32MultiArray

from pi0_bringup.mock_robot import MockRobot
from pi0_ros.dataset import Dataset
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.embodiment import EmbodimentError, load
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS
from pi0_ros.nodes.recorder.node import Recorder

GROUP = "pi0_ros.controllers"
ENTRY = "lab_driver = lab_driver:LabDriver"
LAB_ARM = """
name: lab_arm
description: Two joints on the driver of a lab.
rates: {chunk_hz: 20, control_hz: 50, joint_state_hz: 50, horizon: 20, execution_steps: 10}
sync: {camera_skew_s: 0.05, state_skew_s: 0.05, max_age_s: 0.3, observation_timeout_s: 0.5}
cameras:
  top: {slot: base_0_rgb, topic: top/image, encoding: rgb8, width: 64, height: 48, rate_hz: 20}
absent_slots: [left_wrist_0_rgb, right_wrist_0_rgb]
state:
  - {topic: joint_states, unit: rad, dimensions: {
      shoulder: {joint: joint_1, slots: [0, 0]}, elbow: {joint: joint_2, slots: [1, 1]}}}
action:
  - {unit: rad, limits: {lower: -1.0, upper: 1.0, velocity: 1.0, acceleration: 5.0}, dimensions: {
      shoulder: {joint: joint_1, slots: [0, 0], home: 0.25},
      elbow: {joint: joint_2, slots: [1, 1], home: -0.5}}}
controllers:
  arm: {kind: lab_driver, topic: arm/commands, dimensions: [shoulder, elbow]}
"""


@pytest.fixture
def robot_path(install: Install, tmp_path: Path) -> str:
    """The small robot, its arm on the driver of the lab."""
    install(GROUP, ENTRY)
    return robot_file(tmp_path, arm="lab_driver")


def test_the_executor_drives_it(ros: Graph, install: Install, tmp_path: Path) -> None:
    install(GROUP, ENTRY)
    rig = Rig(ros, tmp_path, arm="lab_driver")
    rig.tick(3)
    held = np.deg2rad(rig.arm[-1].data)
    np.testing.assert_allclose(held, rig.statuses[-1].command[:2], atol=1e-6)
    assert isinstance(rig.arm[-1], Float32MultiArray)


def test_the_mock_robot_follows_it_and_refuses_what_does_not_fit(
    ros: Graph, robot_path: str
) -> None:
    states = ros.collect(JointState, "joint_states", SENSOR_QOS)
    arm = ros.publisher(Float32MultiArray, "arm/commands", COMMAND_QOS)
    node = ros.add(MockRobot, {"embodiment": robot_path, "camera_scale": 0.05})
    assert node.failure is None, node.failure
    ros.spin_until(lambda: states and arm.get_subscription_count(), what="the robot listens")
    arm.publish(Float32MultiArray(data=[10.0, -20.0]))
    goal = np.deg2rad([10.0, -20.0])
    ros.spin_until(
        lambda: np.allclose(states[-1].position[:2], goal, atol=1e-3), what="the goal in radians"
    )
    arm.publish(Float32MultiArray(data=[10.0]))
    ros.spin_until(lambda: node.commands.refused["arm"], what="a counted refusal")
    assert "data has 1 numbers; give 2" in node.commands.last_refusal


def test_the_suite_records_and_converts_it(ros: Graph, install: Install, tmp_path: Path) -> None:
    """Mock robot, executor and recorder on one graph, and then the dataset."""
    install(GROUP, ENTRY)
    path = tmp_path / "lab_arm.yaml"
    path.write_text(LAB_ARM, encoding="utf-8")
    operator = Operator(ros, tmp_path)
    for node_type in (MockRobot, ChunkExecutor):
        assert ros.add(node_type, {"embodiment": str(path)}).failure is None
    recorder = {"embodiment": str(path), "directory": str(tmp_path / "bags"), "reserve_mb": 1}
    assert ros.add(Recorder, recorder).failure is None
    operator.await_ready()
    started = operator.start("hold")
    assert started.success, started.message
    operator.await_messages(40, "arm/commands")
    stopped = operator.stop()
    assert stopped.success, stopped.message

    options = ConvertOptions(size=0, codec="images", actions="commands", doubtful=True)
    convert_bags([Path(stopped.path)], tmp_path / "dataset", options, jobs=1)
    dataset = Dataset.open(tmp_path / "dataset")
    actions = dataset.episode(0).action
    np.testing.assert_allclose(actions, [[0.25, -0.5]] * len(actions), atol=1e-6)


def test_its_stop_behaviour_and_options_are_the_kinds_own(robot_path: str) -> None:
    path = Path(robot_path)
    text = path.read_text(encoding="utf-8")
    arm = load(path).controllers[0]
    assert (arm.stop, arm.options) == ("hold", {"gain": 1.0})
    path.write_text(text.replace("stop: hold", "options: {gain: 2.0}"), encoding="utf-8")
    arm = load(path).controllers[0]
    assert (arm.stop, arm.options) == ("hold", {"gain": 2.0})
    path.write_text(text.replace("stop: hold", "options: {gian: 2.0}"), encoding="utf-8")
    complaint = "'gian' is not an option of a lab_driver controller; it has gain"
    with pytest.raises(EmbodimentError, match=complaint):
        load(path)


def test_without_the_package_the_file_is_refused_with_the_known_kinds(tmp_path: Path) -> None:
    with pytest.raises(
        EmbodimentError,
        match=r"controllers\.arm\.kind: 'lab_driver' is not a known controller kind; use one of "
        r"forward_position, joint_trajectory, twist, gripper, or install .*'pi0_ros.controllers'",
    ):
        load(robot_file(tmp_path, arm="lab_driver"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("lab_driver = lab_driver:Missing", "fails to load: lab_driver:Missing"),
        ("lab_driver = lab_driver:message_class", "derive it from that class"),
        ("lab_driver = collections:OrderedDict", "derive it from that class"),
    ],
)
def test_a_broken_package_is_named_and_harms_no_other_file(
    install: Install, tmp_path: Path, entry: str, words: str
) -> None:
    install(GROUP, entry)
    with pytest.raises(EmbodimentError, match=words):
        load(robot_file(tmp_path, arm="lab_driver"))
    assert load("ur5e").controllers[0].kind == "forward_position"
