"""The simulated robot on a real graph."""

from __future__ import annotations

from typing import Any

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from harness import Graph
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from pi0_bringup.mujoco_robot import MujocoRobot
from pi0_bringup.simulation.viperx import DRIVER_JOINTS
from pi0_msgs.srv import ResetSimulation
from pi0_ros.embodiment import Embodiment, load
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS

ALL = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=500)
ALL_FRAMES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=500, reliability=ReliabilityPolicy.BEST_EFFORT
)
TINY = {"embodiment": "bimanual_trossen", "render_height": 24, "render_width": 32}
LEFT_ARM = "follower_left/arm_controller/joint_trajectory"
LEFT_GRIPPER = "follower_left/gripper_controller/commands"


@pytest.fixture(scope="module")
def trossen() -> Embodiment:
    return load("bimanual_trossen")


def nanoseconds(stamp: Time) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def position(message: JointState, joint: str) -> float:
    return float(message.position[message.name.index(joint)])


def refusals(diagnostics: list[DiagnosticArray], controller: str) -> dict[str, Any]:
    """Values of the newest report that counts a refusal; empty if there is none."""
    for message in reversed(diagnostics):
        values = {v.key: v.value for v in message.status[0].values}
        if values.get(f"{controller}.refused", "0") != "0":
            return values
    return {}


def test_joint_states_carry_the_drivers_joints_on_the_embodiments_topics(
    ros: Graph, trossen: Embodiment
) -> None:
    streams = {d.topic: ros.collect(JointState, d.topic, SENSOR_QOS) for d in trossen.state}
    ros.add(MujocoRobot, TINY)
    ros.spin_until(lambda: all(streams.values()), what="joint states of both arms")
    for messages in streams.values():
        assert tuple(messages[-1].name) == DRIVER_JOINTS
    wanted = {(d.topic, d.joint) for d in trossen.state}
    assert wanted <= {(topic, name) for topic, m in streams.items() for name in m[-1].name}


def test_the_frames_of_a_set_share_one_stamp(ros: Graph, trossen: Embodiment) -> None:
    streams = [ros.collect(Image, camera.topic, ALL_FRAMES) for camera in trossen.cameras]
    ros.add(MujocoRobot, TINY)
    ros.spin_until(lambda: all(len(s) >= 4 for s in streams), what="frames of three cameras")
    stamps = [{nanoseconds(m.header.stamp) for m in stream} for stream in streams]
    # Discovery lets the streams begin apart; from then on every set is whole.
    newest = min(max(s) for s in stamps)
    begin = max(min(s) for s in stamps)
    sets = [{t for t in s if begin <= t <= newest} for s in stamps]
    assert sets[0] == sets[1] == sets[2]
    frame = streams[0][-1]
    assert (frame.height, frame.width, frame.step, len(frame.data)) == (24, 32, 96, 24 * 96)
    assert frame.encoding == trossen.cameras[0].encoding


def test_clock_is_monotonic_on_a_grid_that_holds_every_control_tick(
    ros: Graph, trossen: Embodiment
) -> None:
    clocks = ros.collect(Clock, "/clock", ALL_FRAMES)
    node = ros.add(MujocoRobot, TINY)
    ros.spin_until(lambda: len(clocks) >= 20, what="20 ticks of /clock")
    node.trigger_deactivate()
    node.trigger_cleanup()
    heard = len(clocks)
    node.trigger_configure()
    node.trigger_activate()
    ros.spin_until(lambda: len(clocks) >= heard + 20, what="/clock after a new configuration")
    times = [nanoseconds(m.clock) for m in clocks]
    assert times == sorted(set(times))
    assert all(t % 10_000_000 == 0 for t in times)
    assert (1_000_000_000 / trossen.rates.control_hz) % 10_000_000 == 0


def test_arm_and_gripper_follow_their_commands(ros: Graph) -> None:
    states = ros.collect(JointState, "follower_left/joint_states", SENSOR_QOS)
    arm = ros.publisher(JointTrajectory, LEFT_ARM, COMMAND_QOS)
    gripper = ros.publisher(Float64MultiArray, LEFT_GRIPPER, COMMAND_QOS)
    ros.add(MujocoRobot, TINY)
    ros.spin_until(
        lambda: states and arm.get_subscription_count() and gripper.get_subscription_count(),
        what="the robot listens",
    )
    names = list(reversed(DRIVER_JOINTS[:6]))
    goal = {name: position(states[-1], name) for name in names} | {"waist": 0.4}
    point = JointTrajectoryPoint(positions=[goal[name] for name in names])
    point.time_from_start.nanosec = 20_000_000
    arm.publish(JointTrajectory(joint_names=names, points=[point]))
    gripper.publish(Float64MultiArray(data=[0.05]))
    ros.spin_until(lambda: position(states[-1], "waist") > 0.3, what="the waist turns")
    ros.spin_until(lambda: position(states[-1], "left_finger") > 0.04, what="the gripper opens")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [([0.05, 0.05], "data has 2 numbers; give 1"), ([float("nan")], "is not finite")],
)
def test_refuses_a_bad_command_counts_it_and_names_it(
    ros: Graph, data: list[float], complaint: str
) -> None:
    diagnostics = ros.collect(DiagnosticArray, "/diagnostics", ALL)
    gripper = ros.publisher(Float64MultiArray, LEFT_GRIPPER, COMMAND_QOS)
    ros.add(MujocoRobot, TINY)
    ros.spin_until(gripper.get_subscription_count, what="the robot listens")
    gripper.publish(Float64MultiArray(data=data))
    ros.spin_until(lambda: refusals(diagnostics, "left_gripper"), what="a counted refusal")
    values = refusals(diagnostics, "left_gripper")
    assert LEFT_GRIPPER in values["last_refusal"]
    assert complaint in values["last_refusal"]
    assert values["left_gripper.accepted"] == "0"


def test_reset_answers_with_the_cube_of_the_seed(ros: Graph) -> None:
    ros.add(MujocoRobot, TINY)
    answers = [
        ros.call(ResetSimulation, "mujoco_robot/reset", ResetSimulation.Request(seed=seed))
        for seed in (3, 4, 3)
    ]
    assert all(answer.success for answer in answers)
    assert answers[0].message == answers[2].message
    assert answers[0].message != answers[1].message
    refused = ros.call(ResetSimulation, "mujoco_robot/reset", ResetSimulation.Request(seed=2**40))
    assert not refused.success
    assert "seed is 1099511627776" in refused.message


def test_success_is_latched_and_false_at_the_start(ros: Graph) -> None:
    ros.add(MujocoRobot, TINY)
    success = ros.collect(Bool, "mujoco_robot/success", LATCHED_QOS)
    ros.spin_until(lambda: success, what="the latched result")
    assert success[-1].data is False


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"embodiment": "ur5e"}, "installed are scenes of bimanual_trossen (transfer_cube)"),
        ({"scene": "desk"}, "no scene 'desk' of embodiment 'bimanual_trossen'"),
        ({"render_height": 32}, "do not have the aspect"),
        ({"clock_hz": 125.0}, "clock_hz is 125; give a multiple of the control rate"),
        ({"seed": -1}, "seed is -1"),
        ({"use_sim_time": True}, "mujoco_robot is the source of /clock"),
    ],
)
def test_refuses_a_bad_parameter(ros: Graph, parameters: dict[str, Any], complaint: str) -> None:
    node = ros.add(MujocoRobot, TINY | parameters)
    assert complaint in str(node.failure)
