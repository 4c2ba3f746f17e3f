"""A scene of another package in ``mujoco_robot``: one file, this one, and one entry point."""

from __future__ import annotations

import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
from harness import Graph
from sensor_msgs.msg import Image, JointState
from source_metadata import write_metadata
from std_msgs.msg import Bool, Float64MultiArray, UInt8

from pi0_bringup.mujoco_robot import MujocoRobot
from pi0_bringup.simulation.scene import Task, check_seed, physics_steps
from pi0_msgs.srv import ResetSimulation
from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment, load
from pi0_ros.graph.declaration import declare_hardware
from pi0_ros.graph.options import GraphOptions
from pi0_ros.graph.scenes import GROUP
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS
from pi0_ros.state_sources import JointReading

ENTRY_POINT = "ur5e.point_at_ball = test_second_scene:PointAtBall"
JOINTS = {
    **{f"shoulder_{joint}_joint": "0 0 1" for joint in ("pan", "lift")},
    **{f"{joint}_joint": "0 1 0" for joint in ("elbow", "wrist_1", "wrist_2", "wrist_3")},
    "robotiq_85_left_knuckle_joint": "0 1 0",
}
LINKS = "".join(
    f'<body name="{name}_link" pos="0 0 0.1"><joint name="{name}" axis="{axis}" damping="1"/>'
    '<geom type="capsule" size="0.02" fromto="0 0 0 0 0 0.1" contype="0" conaffinity="0"/>'
    for name, axis in JOINTS.items()
)
ACTUATORS = "".join(f'<position name="{name}" joint="{name}" kp="50"/>' for name in JOINTS)
MJCF = f"""
<mujoco>
  <option timestep="0.002" gravity="0 0 0"/>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="overview" pos="0 -2 0.5" xyaxes="1 0 0 0 0 1"/>
    <camera name="above" pos="0 0 2"/>
    <body name="ball"><freejoint/><geom type="sphere" size="0.05" rgba="1 0 0 1"/></body>
    {LINKS}{"</body>" * len(JOINTS)}
  </worldbody>
  <actuator>{ACTUATORS}</actuator>
</mujoco>
"""


class PointAtBall:
    """An arm of single joints beside a ball; the pan joint has to turn by 0.2 rad."""

    task = Task(instruction="point at the ball", stages=("the arm has turned",))
    camera_of_slot = {"base_0_rgb": "overview", "left_wrist_0_rgb": "above"}  # noqa: RUF012

    def __init__(self, embodiment: Embodiment) -> None:
        self._embodiment = embodiment
        self.model = mujoco.MjModel.from_xml_string(MJCF)
        self.data = mujoco.MjData(self.model)
        self.reset(0)

    def reset(self, seed: int) -> None:
        check_seed(seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.joint(0).qpos[:3] = (*np.random.default_rng(seed).uniform(0.3, 0.6, 2), 0.1)
        mujoco.mj_forward(self.model, self.data)

    def measured_action(self) -> FloatArray:
        raw = [(d, self.data.joint(d.joint).qpos[0]) for d in self._embodiment.action]
        return np.array([d.scale * position + d.offset for d, position in raw])

    def set_command(self, action: FloatArray) -> None:
        for dimension, value in zip(self._embodiment.action, action, strict=True):
            raw = (value - dimension.offset) / dimension.scale
            self.data.actuator(dimension.joint).ctrl[0] = raw

    def step(self, duration_s: float) -> None:
        mujoco.mj_step(self.model, self.data, physics_steps(self.model, duration_s))

    def joint_readings(self) -> dict[str, JointReading]:
        return {topic: self._reading(topic) for topic in {d.topic for d in self._embodiment.state}}

    def _reading(self, topic: str) -> JointReading:
        names = tuple(d.joint for d in self._embodiment.state if d.topic == topic)
        joints = [self.data.joint(name) for name in names]
        position = np.array([joint.qpos[0] for joint in joints])
        velocity = np.array([joint.qvel[0] for joint in joints])
        return JointReading(
            names=names, position=position, velocity=velocity, effort=np.zeros(len(names))
        )

    def object_poses(self) -> dict[str, FloatArray]:
        return {"ball": np.array(self.data.joint(0).qpos)}

    @property
    def reward(self) -> int:
        return int(self.data.joint("shoulder_pan_joint").qpos[0] > 0.2)


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package beside this one declares the scene."""
    write_metadata(tmp_path, "my_scenes", {GROUP: [ENTRY_POINT]})
    monkeypatch.syspath_prepend(tmp_path)
    assert PointAtBall.__module__ in sys.modules


def test_the_graph_starts_the_scene_of_the_embodiment() -> None:
    options = GraphOptions(embodiment="ur5e", hardware="mujoco", caller={})
    (process,) = declare_hardware(options)
    assert (process.package, process.executable) == ("pi0_bringup", "mujoco_robot")
    assert process.parameters["scene"] == "point_at_ball"


def test_the_scene_moves_is_seen_and_is_rewarded(ros: Graph) -> None:
    states = ros.collect(JointState, "joint_states", SENSOR_QOS)
    gripper = ros.collect(JointState, "gripper/joint_states", SENSOR_QOS)
    frames = [ros.collect(Image, camera.topic, SENSOR_QOS) for camera in load("ur5e").cameras]
    rewards = ros.collect(UInt8, "mujoco_robot/reward", LATCHED_QOS)
    success = ros.collect(Bool, "mujoco_robot/success", LATCHED_QOS)
    arm = ros.publisher(Float64MultiArray, "forward_position_controller/commands", COMMAND_QOS)
    node = ros.add(MujocoRobot, {"embodiment": "ur5e", "render_height": 24, "render_width": 32})
    assert node.failure is None
    ros.spin_until(lambda: states and gripper and all(frames), what="joint states and frames")
    assert set(states[-1].name) | set(gripper[-1].name) == set(JOINTS)
    assert np.ptp(np.frombuffer(frames[0][-1].data, np.uint8)) > 50
    ros.spin_until(lambda: rewards and arm.get_subscription_count(), what="the robot listens")
    assert (rewards[-1].data, success[-1].data) == (0, False)
    arm.publish(Float64MultiArray(data=[0.5, 0.0, 0.0, 0.0, 0.0, 0.0]))
    ros.spin_until(lambda: success[-1].data, what="the success")
    assert rewards[-1].data == 1
    answer = ros.call(ResetSimulation, "mujoco_robot/reset", ResetSimulation.Request(seed=3))
    assert answer.message.startswith("seed 3: ball at (0.")


def test_the_name_of_a_scene_can_be_given_and_an_unknown_one_is_refused(ros: Graph) -> None:
    node = ros.add(MujocoRobot, {"embodiment": "ur5e", "scene": "transfer_cube"})
    assert "no scene 'transfer_cube' of embodiment 'ur5e'; give one of point_at_ball" in str(
        node.failure
    )
