"""chunk_executor as a process of its own, on the steady clock, ended while it moves."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
from executor_rig import HORIZON, MEASURED, joint_states, make_chunk, robot_file, stamp
from geometry_msgs.msg import TwistStamped
from harness import Graph
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from pi0_msgs.msg import ActionChunk, ExecutorStatus, Observation
from pi0_ros.embodiment import load
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS

RAMP = np.array(MEASURED) + np.linspace(0.0, 0.3, HORIZON)[:, None] * [1.0, 1.0, 1.0, 1.0]


class LiveRobot:
    """Answers the executor in real time: joints and frames on a timer, a chunk when it holds."""

    def __init__(self, ros: Graph, path: str) -> None:
        self.robot = load(path)
        self.node = ros.node
        self.sequence = 0
        self.statuses: list[Any] = ros.collect(ExecutorStatus, "executor_status", LATCHED_QOS)
        self._joints = ros.publisher(JointState, "joint_states", SENSOR_QOS)
        self._observations = ros.publisher(Observation, "observation", COMMAND_QOS)
        self._chunks = ros.publisher(ActionChunk, "action_chunk", COMMAND_QOS)
        ros.node.create_timer(0.02, self._feed)

    def _feed(self) -> None:
        now_ns = self.node.get_clock().now().nanoseconds
        observation = Observation()
        observation.header.stamp = stamp(now_ns)
        self._joints.publish(joint_states())
        self._observations.publish(observation)
        if self.statuses and self.statuses[-1].state == ExecutorStatus.HOLDING:
            chunk = make_chunk(self.robot, RAMP, now_ns, self.sequence)
            self.sequence += 1
            self._chunks.publish(chunk)


def test_interrupted_while_moving_its_last_words_are_hold_and_zero(
    ros: Graph, tmp_path: Path
) -> None:
    path = robot_file(tmp_path)
    live = LiveRobot(ros, path)
    arm = ros.collect(Float64MultiArray, "arm/commands", 100)
    base = ros.collect(TwistStamped, "cmd_vel", 100)
    child = ros.process("pi0_ros.nodes.chunk_executor.node", {"embodiment": path})

    def moving() -> bool:
        return len(base) > 5 and base[-1].twist.linear.x > 0.05

    ros.spin_until(moving, what="the robot moves")
    child.send_signal(signal.SIGINT)
    ros.spin_until(lambda: child.poll() is not None, what="the executor ends")
    ros.spin_until(
        lambda: live.statuses[-1].state == ExecutorStatus.INACTIVE, what="INACTIVE is said"
    )
    assert child.returncode == 0
    assert base[-1].twist.linear.x == 0.0
    path_sent = np.array([m.data for m in arm])
    velocity = np.diff(path_sent, axis=0) / 0.02
    assert velocity[-1].tolist() == [0.0, 0.0]
    assert np.abs(np.diff(velocity, axis=0) / 0.02).max() <= 10.0 + 1e-6
    assert path_sent[-1].tolist() == list(live.statuses[-1].command)[:2]
