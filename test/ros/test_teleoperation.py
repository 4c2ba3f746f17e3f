"""From an operator's input to the joints of a mock robot, through the executor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import Graph
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, Joy

from pi0_bringup.mock_robot import MockRobot
from pi0_bringup.simulation.viperx import ARM_JOINTS
from pi0_bringup.teleoperation.gamepad_teleop import GamepadTeleop
from pi0_bringup.teleoperation.leader_arms import LeaderArmsNode
from pi0_msgs.msg import ExecutorStatus
from pi0_ros.embodiment import load
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor
from pi0_ros.nodes.managed import LATCHED_QOS, SENSOR_QOS

MS = 1_000_000
ROBOT = "mobile_trossen"
TROSSEN = load(ROBOT)
BASE = TROSSEN.action_names.index("base_x")
LEADERS = ("leader_left/joint_states", "leader_right/joint_states")


class Site:
    """A mock robot, its executor and one source, on a clock that the test moves."""

    def __init__(self, ros: Graph, source: type, inputs: Any) -> None:
        self.ros = ros
        self.now_ns = 10_000 * MS
        self._clock = ros.publisher(Clock, "/clock", 1)
        self.statuses = ros.collect(ExecutorStatus, "executor_status", LATCHED_QOS)
        self.joints = ros.collect(JointState, "follower_left/joint_states", SENSOR_QOS)
        common = {"embodiment": ROBOT, "use_sim_time": True}
        silent = {"silent_cameras": [c.name for c in TROSSEN.cameras]}
        for factory, more in ((MockRobot, silent), (ChunkExecutor, {}), (source, {})):
            node = ros.add(factory, common | more)
            assert node.failure is None, node.failure
        self.inputs = {topic: ros.publisher(kind, topic, SENSOR_QOS) for kind, topic in inputs}
        ros.spin_until(
            lambda: (
                self._clock.get_subscription_count() >= 3
                and all(p.get_subscription_count() for p in self.inputs.values())
            ),
            what="the nodes listen",
        )
        for _ in range(100):
            self.tick()
            if self.statuses[-1].state == ExecutorStatus.HOLDING:
                return
        raise AssertionError(f"the executor waits: {self.statuses[-1].reason}")

    def tick(self, count: int = 1, **messages: Any) -> list[ExecutorStatus]:
        """Advance ``count`` times by 20 ms with these inputs; returns the executor's reports."""
        for _ in range(count):
            before = len(self.statuses)
            self.now_ns += 20 * MS
            for topic, message in messages.items():
                self.inputs[topic].publish(message)
            self.ros.spin_some()
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = divmod(self.now_ns, 1000 * MS)
            self._clock.publish(clock)
            self.ros.spin_until(lambda before=before: len(self.statuses) > before, what="a tick")
            self.ros.spin_some()
        return self.statuses[-count:]

    def measured(self, joint: str) -> float:
        """The newest position of a joint of the left follower."""
        message = self.joints[-1]
        return float(message.position[message.name.index(joint)])


def within_limits(statuses: list[ExecutorStatus]) -> bool:
    """Whether every tick kept the velocity and acceleration limits of the embodiment."""
    velocity = np.array([s.command_velocity for s in statuses])
    acceleration = np.diff(velocity, axis=0) * TROSSEN.rates.control_hz
    limits = TROSSEN.limits
    return bool(
        (np.abs(velocity) <= limits.velocity + 1e-9).all()
        and (np.abs(acceleration) <= limits.acceleration + 1e-6).all()
    )


def joy(held: bool, pressed: int | None = None, **axes: float) -> Joy:
    message = Joy(axes=[0.0] * 8, buttons=[0] * 11)
    message.buttons[5] = int(held)
    if pressed is not None:
        message.buttons[pressed] = 1
    for name, value in axes.items():
        message.axes[int(name.removeprefix("a"))] = value
    return message


def test_a_stick_moves_a_joint_within_limits_and_letting_go_holds_it(ros: Graph) -> None:
    site = Site(ros, GamepadTeleop, [(Joy, "joy")])
    moving = site.tick(40, joy=joy(held=True, a1=1.0))
    assert moving[-1].state == ExecutorStatus.TELEOPERATED
    assert moving[-1].source_id.startswith("gamepad_teleop")
    assert site.measured("waist") > 0.1
    released = site.tick(25, joy=joy(held=False, a1=1.0))
    assert within_limits(moving + released)
    assert released[-1].state == ExecutorStatus.HOLDING
    assert not any(released[-1].command_velocity)
    assert released[-1].command == released[-2].command


def test_a_base_drives_while_the_stick_is_held_and_is_at_rest_after(ros: Graph) -> None:
    site = Site(ros, GamepadTeleop, [(Joy, "joy")])
    site.tick(1, joy=joy(held=False, pressed=7))  # the next layer: the base
    driving = site.tick(60, joy=joy(held=True, a1=1.0))
    assert driving[-1].command[BASE] == pytest.approx(0.2, abs=0.01)
    stopping = site.tick(60)  # the gamepad is silent: its battery is empty
    assert within_limits(driving + stopping)
    assert stopping[-1].state == ExecutorStatus.HOLDING
    assert stopping[-1].command[BASE] == 0.0


def test_the_robot_follows_its_leader_arms(ros: Graph) -> None:
    site = Site(ros, LeaderArmsNode, [(JointState, topic) for topic in LEADERS])

    def leaders(handle: float, waist: float) -> dict[str, JointState]:
        pose = [waist, *TROSSEN.home[1:6].tolist(), handle]
        message = JointState(name=[*ARM_JOINTS, "gripper"], position=pose)
        return dict.fromkeys(LEADERS, message)

    followed = site.tick(5, **leaders(0.3083, 0.1))
    followed += site.tick(60, **leaders(-0.6842, 0.1))
    assert followed[-1].state == ExecutorStatus.TELEOPERATED
    for k in range(25):
        followed += site.tick(1, **leaders(0.3083, 0.1 + 0.01 * k))
    followed += site.tick(15, **leaders(0.3083, 0.34))
    assert within_limits(followed)
    assert site.measured("waist") == pytest.approx(0.34, abs=0.01)
    held = site.tick(40)
    assert held[-1].state == ExecutorStatus.HOLDING
    assert "let go" in held[-1].reason or "silent" in held[-1].reason
