"""The mock robot on a real graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from harness import ROOT, Graph
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from pi0_bringup.mock_robot import MockRobot
from pi0_msgs.srv import ResetSimulation
from pi0_ros.embodiment import available, load
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS

# What every node of rclpy and of this suite has, whatever the robot.
COMMON_TOPICS = {"/diagnostics", "/rosout", "/parameter_events"}


def tiny(name: str, **parameters: Any) -> dict[str, Any]:
    return {"embodiment": name, "camera_scale": 0.05, **parameters}


def topics(endpoints: list[tuple[str, list[str]]]) -> dict[str, str]:
    return {
        topic: kinds[0]
        for topic, kinds in endpoints
        if topic not in COMMON_TOPICS and not topic.endswith("/transition_event")
    }


@pytest.mark.parametrize("name", available())
def test_offers_exactly_the_embodiments_topics_in_its_namespace(ros: Graph, name: str) -> None:
    embodiment = load(name)
    node = ros.add(MockRobot, tiny(name), namespace=name)
    assert node.failure is None
    graph = (node.get_name(), node.get_namespace())
    sent = {f"/{name}/{d.topic}": d.message_type for d in embodiment.state}
    sent |= {f"/{name}/{c.topic}": c.message_type for c in embodiment.cameras}
    if any(c.kind == "twist" for c in embodiment.controllers):
        sent[f"/{name}/odom"] = "nav_msgs/msg/Odometry"
    ros.spin_until(
        lambda: topics(node.get_publisher_names_and_types_by_node(*graph)) == sent,
        what=f"publishers of {sent}",
    )
    heard = {f"/{name}/{c.topic}": c.message_type for c in embodiment.controllers}
    ros.spin_until(
        lambda: topics(node.get_subscriber_names_and_types_by_node(*graph)) == heard,
        what=f"subscriptions to {heard}",
    )


@pytest.mark.parametrize("name", available())
def test_publishes_every_stream_with_the_embodiments_joints_and_encoding(
    ros: Graph, name: str
) -> None:
    embodiment = load(name)
    states = {d.topic: ros.collect(JointState, d.topic, SENSOR_QOS) for d in embodiment.state}
    frames = {c.topic: ros.collect(Image, c.topic, SENSOR_QOS) for c in embodiment.cameras}
    ros.add(MockRobot, tiny(name))
    ros.spin_until(lambda: all(states.values()) and all(frames.values()), what="every stream")
    for dimension in embodiment.state:
        assert dimension.joint in states[dimension.topic][-1].name
    for camera in embodiment.cameras:
        frame = frames[camera.topic][-1]
        assert frame.encoding == camera.encoding
        assert (frame.height, frame.width) == (24, 32)
        assert len(frame.data) == frame.step * frame.height


def test_joints_follow_and_reset_brings_them_back(ros: Graph) -> None:
    states = ros.collect(JointState, "joint_states", SENSOR_QOS)
    arm = ros.publisher(Float64MultiArray, "forward_position_controller/commands", COMMAND_QOS)
    ros.add(MockRobot, tiny("ur5e", start=[0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    ros.spin_until(lambda: states and arm.get_subscription_count(), what="the robot listens")
    np.testing.assert_allclose(states[-1].position, [0.0, -1.0, 1.0, 0.0, 0.0, 0.0])
    goal = [0.2, -0.8, 1.2, 0.1, 0.1, 0.1]
    arm.publish(Float64MultiArray(data=goal))
    ros.spin_until(lambda: np.allclose(states[-1].position, goal, atol=1e-3), what="the goal")
    answer = ros.call(ResetSimulation, "mock_robot/reset", ResetSimulation.Request())
    assert answer.success
    ros.spin_until(lambda: states[-1].position[1] == -1.0, what="the start pose")


def test_base_moves_then_stops_when_the_commands_do(ros: Graph) -> None:
    odometry = ros.collect(Odometry, "odom", SENSOR_QOS)
    base = ros.publisher(TwistStamped, "cmd_vel", COMMAND_QOS)
    ros.add(MockRobot, tiny("mobile_fibocom", base_timeout_s=0.2))
    ros.spin_until(lambda: odometry and base.get_subscription_count(), what="the robot listens")
    command = TwistStamped()
    command.twist.linear.x, command.twist.linear.y = 0.3, 0.2
    base.publish(command)
    ros.spin_until(lambda: odometry[-1].twist.twist.linear.x > 0.05, what="the base moves")
    ros.spin_until(lambda: abs(odometry[-1].twist.twist.linear.x) < 1e-3, what="the base stops")
    pose = odometry[-1].pose.pose.position
    assert pose.x > 0.0
    assert pose.y > 0.0
    assert (odometry[-1].header.frame_id, odometry[-1].child_frame_id) == ("odom", "base_link")


def test_refuses_a_bad_command_and_stays(ros: Graph) -> None:
    arm = ros.publisher(Float64MultiArray, "forward_position_controller/commands", COMMAND_QOS)
    node = ros.add(MockRobot, tiny("ur5e"))
    ros.spin_until(arm.get_subscription_count, what="the robot listens")
    arm.publish(Float64MultiArray(data=[0.1, 0.2]))
    ros.spin_until(lambda: node.commands.refused["arm"], what="a counted refusal")
    assert "data has 2 numbers; give 6" in node.commands.last_refusal
    np.testing.assert_array_equal(node.commands.sample(0.0), load("ur5e").home)


def test_a_silent_camera_sends_nothing_while_the_others_do(ros: Graph) -> None:
    silent = ros.collect(Image, "wrist_camera/camera/color/image_raw", SENSOR_QOS)
    speaking = ros.collect(Image, "base_camera/camera/color/image_raw", SENSOR_QOS)
    ros.add(MockRobot, tiny("ur5e", silent_cameras=["wrist_camera"]))
    ros.spin_until(lambda: len(speaking) >= 10, what="ten frames of the other camera")
    assert silent == []


def test_a_frozen_camera_repeats_its_frame_with_new_stamps(ros: Graph) -> None:
    frozen = ros.collect(Image, "wrist_camera/camera/color/image_raw", SENSOR_QOS)
    moving = ros.collect(Image, "base_camera/camera/color/image_raw", SENSOR_QOS)
    ros.add(MockRobot, tiny("ur5e", frozen_cameras=["wrist_camera"]))
    ros.spin_until(lambda: len(frozen) >= 3 and len(moving) >= 3, what="frames of both cameras")
    assert len({bytes(m.data) for m in frozen}) == 1
    assert len({bytes(m.data) for m in moving}) > 1
    assert len({(m.header.stamp.sec, m.header.stamp.nanosec) for m in frozen}) == len(frozen)


def test_a_missing_joint_is_left_out(ros: Graph) -> None:
    states = ros.collect(JointState, "joint_states", SENSOR_QOS)
    ros.add(MockRobot, tiny("ur5e", missing_joints=["elbow"]))
    ros.spin_until(lambda: states, what="joint states")
    assert "elbow_joint" not in states[-1].name


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"embodiment": "ur5"}, "ur5e"),
        ({"silent_cameras": ["nose"]}, "silent_cameras names nose; ur5e has base_camera"),
        ({"frozen_cameras": ["nose"]}, "frozen_cameras names nose"),
        ({"missing_joints": ["knee"]}, "missing_joints names knee"),
        ({"camera_scale": 2.0}, "camera_scale is 2.0"),
        ({"camera_rate_hz": -1.0}, "camera_rate_hz is -1.0"),
        ({"start": [0.0]}, "give 7 finite numbers"),
    ],
)
def test_refuses_a_bad_parameter(ros: Graph, parameters: dict[str, Any], complaint: str) -> None:
    node = ros.add(MockRobot, tiny("ur5e") | parameters)
    assert complaint in str(node.failure)


def test_full_size_frames_pass_with_the_fast_dds_profile(ros: Graph, tmp_path: Path) -> None:
    # The profile is read by the process that sends: its segment has to hold the frames.
    profile = ROOT / "pi0_bringup" / "config" / "fastdds.xml"
    ros.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(profile)
    embodiment = load("bimanual_trossen")
    streams = [ros.collect(Image, camera.topic, SENSOR_QOS) for camera in embodiment.cameras]
    with (tmp_path / "log").open("w") as log:
        ros.process("pi0_bringup.mock_robot", {"embodiment": embodiment.name}, stderr=log)
        ros.spin_until(lambda: all(len(s) >= 2 for s in streams), what="full frames of 3 cameras")
    assert all((s[-1].height, s[-1].width) == (480, 640) for s in streams)
    assert "XMLPARSER" not in (tmp_path / "log").read_text()
