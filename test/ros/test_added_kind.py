"""A controller kind of another package: one file and an entry point, and everything works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_rig import Rig, robot_file
from harness import Graph
from installed import Install
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float32MultiArray

from pi0_bringup.mock_robot import MockRobot
from pi0_ros.dataset.export.bag_out import RobotBag
from pi0_ros.dataset.export.messages import CommandMessages
from pi0_ros.dataset.recorded_actions import read_actions
from pi0_ros.embodiment import EmbodimentError, load
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS
from pi0_ros.recording.episode import EpisodeInfo, Instruction, Outcome
from pi0_ros.recording.topics import episode_topics

GROUP = "pi0_ros.controllers"
ENTRY = "lab_driver = lab_driver:LabDriver"


@pytest.fixture
def robot_path(install: Install, tmp_path: Path) -> str:
    """The small robot, its arm on the driver of the lab."""
    install(GROUP, ENTRY)
    return robot_file(tmp_path, arm="lab_driver")


def test_the_executor_drives_it_and_its_commands_are_recorded_and_converted(
    ros: Graph, install: Install, tmp_path: Path
) -> None:
    install(GROUP, ENTRY)
    rig = Rig(ros, tmp_path, arm="lab_driver")
    rig.tick(3)
    held = np.deg2rad(rig.arm[-1].data)
    np.testing.assert_allclose(held, rig.statuses[-1].command[:2], atol=1e-6)
    assert isinstance(rig.arm[-1], Float32MultiArray)

    topics = {topic.name: topic.type for topic in episode_topics(rig.robot)}
    assert topics["arm/commands"] == "std_msgs/msg/Float32MultiArray"
    recorded = read_actions(str(record(rig.robot, Path(rig.path), rig.arm[-1], tmp_path)))
    np.testing.assert_allclose(recorded.actions[:, :2], [held] * 3, atol=1e-6)


def record(robot: Any, path: Path, command: Any, folder: Path) -> Path:
    """A bag of three frames of an arm command; the other controllers are at home."""
    start_ns, step_ns = 10**18, 20_000_000
    info = EpisodeInfo(
        embodiment=robot.name,
        embodiment_yaml=path.read_text(encoding="utf-8"),
        task="hold",
        outcome=Outcome.SUCCEEDED,
        instructions=(Instruction(stamp_ns=start_ns, text="hold"),),
        start_ns=start_ns,
        accepted=True,
    )
    bag = RobotBag(folder, "hold", robot, info)
    for k in range(3):
        stamp_ns = start_ns + k * step_ns
        bag.add_raw("arm/commands", stamp_ns, serialize_message(command))
        for topic, message in CommandMessages(robot).make(stamp_ns, robot.home).items():
            if topic != "arm/commands":
                bag.add(topic, stamp_ns, message)
    return bag.finish(start_ns + 2 * step_ns)


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
