"""A chunk_executor in simulated time: the test is the clock, the robot and the policy.

Over 300 lines: one rig, with every topic of the node.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import TwistStamped
from harness import Graph
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from pi0_msgs.msg import ActionChunk, ExecutorStatus, Observation, TeleopCommand
from pi0_ros.embodiment import load
from pi0_ros.messages import message_class
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS

MS = 1_000_000
PERIOD_NS = 20 * MS
HORIZON = 20
JOINTS = ("shoulder_joint", "elbow_joint", "finger_joint")
START = (0.1, -0.2, 0.25)  # raw; the gripper's value is twice its raw number
MEASURED = (0.1, -0.2, 0.5, 0.0)
NOTHING_COMMANDED = (ExecutorStatus.WAITING, ExecutorStatus.INACTIVE)

YAML = """
name: small_robot
description: two joints, a gripper and a base
rates:
  {{chunk_hz: {chunk_hz}, control_hz: 50, joint_state_hz: 50, horizon: 20, execution_steps: 10}}
sync: {{camera_skew_s: 0.04, state_skew_s: 0.02, max_age_s: 0.25, observation_timeout_s: 0.2}}
cameras:
  top:
    {{slot: base_0_rgb, topic: top/image, encoding: rgb8, width: 64, height: 48, rate_hz: 30}}
absent_slots: [left_wrist_0_rgb, right_wrist_0_rgb]
state:
  - topic: joint_states
    unit: rad
    dimensions:
      shoulder: {{joint: shoulder_joint, slots: [0, 0]}}
      elbow:    {{joint: elbow_joint, slots: [1, 1]}}
      gripper:  {{joint: finger_joint, slots: [6, 6], unit: normalised, scale: 2.0}}
action:
  - unit: rad
    limits: {{lower: -2.0, upper: 2.0, velocity: 2.0, acceleration: 10.0}}
    dimensions:
      shoulder: {{joint: shoulder_joint, slots: [0, 0], home: 0.0}}
      elbow:    {{joint: elbow_joint, slots: [1, 1], home: 0.0}}
  - unit: normalised
    limits: {{lower: 0.0, upper: 1.0, velocity: 2.0, acceleration: 20.0}}
    dimensions:
      gripper:  {{joint: finger_joint, slots: [6, 6], home: 0.0, scale: 2.0}}
  - unit: m/s
    limits: {{lower: -0.5, upper: 0.5, velocity: 1.0, acceleration: 10.0}}
    dimensions:
      base:     {{joint: linear.x, slots: [14, 14]}}
controllers:
  arm: {{kind: {arm}, topic: arm/commands, stop: hold, dimensions: [shoulder, elbow]}}
  gripper: {{kind: gripper, topic: gripper/commands, stop: keep_last, dimensions: [gripper]}}
  base: {{kind: twist, topic: cmd_vel, stop: ramp_to_zero, frame_id: base_link, dimensions: [base]}}
"""


def robot_file(folder: Path, chunk_hz: int = 50, arm: str = "forward_position") -> str:
    """Write the small robot's YAML and return its path."""
    path = folder / "small_robot.yaml"
    path.write_text(YAML.format(chunk_hz=chunk_hz, arm=arm))
    return str(path)


def joint_states(names: Any = JOINTS, position: Any = START, velocity: Any = None) -> JointState:
    """A measured pose, at standstill unless its velocity is given."""
    return JointState(
        name=list(names),
        position=[float(p) for p in position],
        velocity=[0.0] * len(names) if velocity is None else [float(v) for v in velocity],
    )


def stamp(now_ns: int) -> Time:
    """Nanoseconds as a message."""
    return Time(sec=now_ns // 1_000_000_000, nanosec=now_ns % 1_000_000_000)


def make_chunk(robot: Any, actions: Any, now_ns: int, sequence: int, **fields: Any) -> ActionChunk:
    """A chunk that begins at ``now_ns``; ``actions`` (H, A), or (A,) for every step."""
    rows = np.broadcast_to(np.asarray(actions, np.float32), (HORIZON, len(robot.action)))
    message = ActionChunk(
        step_duration=Duration(nanosec=round(1e9 / robot.rates.chunk_hz)),
        action_names=list(robot.action_names),
        horizon=HORIZON,
        data=array("f", rows.tobytes()),
        observation_stamp=stamp(now_ns),
        sequence=sequence,
        source_id="test",
        embodiment=robot.name,
        checkpoint_id="tiny-0000",
    )
    message.header.stamp = stamp(now_ns)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


class Rig:
    """Drives one executor tick by tick; every tick is awaited, none by waiting."""

    def __init__(
        self, ros: Graph, folder: Path, parameters: dict[str, Any] | None = None, **robot: Any
    ) -> None:
        self.ros = ros
        self.path = path = robot_file(folder, **robot)
        self.robot = load(path)
        self.now_ns = 10_000 * MS
        self.sequence = 0
        self._clock = ros.publisher(Clock, "/clock", 1)
        self._joints = ros.publisher(JointState, "joint_states", SENSOR_QOS)
        self._observations = ros.publisher(Observation, "observation", COMMAND_QOS)
        self._chunks = ros.publisher(ActionChunk, "action_chunk", COMMAND_QOS)
        self._teleop = ros.publisher(TeleopCommand, "teleop_command", COMMAND_QOS)
        self.node: ChunkExecutor = ros.add(
            ChunkExecutor, {"embodiment": path, "use_sim_time": True, **(parameters or {})}
        )
        assert self.node.failure is None, self.node.failure
        self.statuses = ros.collect(ExecutorStatus, "executor_status", LATCHED_QOS)
        kinds = (
            message_class(self.robot.controllers[0].message_type),
            Float64MultiArray,
            TwistStamped,
        )
        topics = [controller.topic for controller in self.robot.controllers]
        self.arm, self.gripper, self.base = (
            ros.collect(kind, topic, 100) for kind, topic in zip(kinds, topics, strict=True)
        )
        inputs = (self._clock, self._joints, self._observations, self._chunks, self._teleop)
        outputs = (*self.publishers, self.node._status_publisher)
        ros.spin_until(
            lambda: all(p.get_subscription_count() for p in (*inputs, *outputs)),
            what="the executor's topics are connected",
        )

    def tick(
        self, count: int = 1, *, joints: JointState | None = None, cameras: bool = True
    ) -> ExecutorStatus:
        """Let 20 ms pass, ``count`` times; the status of the last tick."""
        for _ in range(count):
            self.now_ns += PERIOD_NS
            self.publish_joints(joints)
            if cameras:
                observation = Observation()
                observation.header.stamp = stamp(self.now_ns)
                self._observations.publish(observation)
            self.ros.spin_some()
            self.set_clock()
        return self.statuses[-1]

    def tick_without_joints(self) -> None:
        """Let 20 ms pass of which the arm says nothing."""
        self.now_ns += PERIOD_NS
        observation = Observation()
        observation.header.stamp = stamp(self.now_ns)
        self._observations.publish(observation)
        self.ros.spin_some()
        self.set_clock()

    def tick_with_frozen_joints(self, joints: JointState, stamp_ns: int) -> None:
        """Let 20 ms pass in which the driver repeats an old message."""
        joints.header.stamp = stamp(stamp_ns)
        self._joints.publish(joints)
        self.tick_without_joints()

    def drop_arm_subscriber(self) -> None:
        """Nobody listens to the arm's topic any more."""
        node = self.ros.node
        topic = self.robot.controllers[0].topic
        for subscription in list(node.subscriptions):
            if subscription.topic_name == f"/{topic}":
                node.destroy_subscription(subscription)

    @property
    def publishers(self) -> list[Any]:
        """Of the commands, one per controller."""
        return [output.publisher for output in self.node.outputs.by_controller]

    def listen_to_arm(self) -> None:
        """Listen to the arm's topic again."""
        self.arm = self.ros.collect(Float64MultiArray, self.robot.controllers[0].topic, 100)
        publisher = self.publishers[0]
        self.ros.spin_until(publisher.get_subscription_count, what="the arm is heard")

    def publish_joints(self, joints: JointState | None = None) -> None:
        """Joint states of now, by default of an arm that is where it was commanded."""
        message = self.measured() if joints is None else joints
        message.header.stamp = stamp(self.now_ns)
        self._joints.publish(message)

    def measured(self) -> JointState:
        """An arm that is where it was commanded."""
        if not self.statuses or self.statuses[-1].state in NOTHING_COMMANDED:
            return joint_states()
        shoulder, elbow, gripper, _ = self.statuses[-1].command
        return joint_states(position=(shoulder, elbow, gripper / 2.0))

    def set_clock(self) -> None:
        """Publish the time and see the tick it causes."""
        before = len(self.statuses)
        self._clock.publish(Clock(clock=stamp(self.now_ns)))
        self.ros.spin_until(
            lambda: len(self.statuses) > before, what=f"the tick at {self.now_ns} ns"
        )

    def until(self, state: int, **options: Any) -> ExecutorStatus:
        """Tick until the executor is in a state."""
        for _ in range(100):
            if self.tick(**options).state == state:
                return self.statuses[-1]
        raise AssertionError(f"still {self.statuses[-1].state}: {self.statuses[-1].reason}")

    def offer(self, actions: Any, **fields: Any) -> None:
        """Publish a chunk that begins at the next tick, and see it judged."""
        admission = self.node.core.chunk_admission
        before = admission.accepted + admission.refused.total()
        begin_ns = self.now_ns + PERIOD_NS
        self._chunks.publish(make_chunk(self.robot, actions, begin_ns, self.sequence, **fields))
        self.sequence += 1
        self.ros.spin_until(
            lambda: admission.accepted + admission.refused.total() > before,
            what="the chunk is judged",
        )

    def teleoperate(
        self, position: Any, deadman: bool = True, until: Any = None, **fields: Any
    ) -> None:
        """Publish a command for shoulder and elbow, and see it judged, or ``until`` come true."""
        message = TeleopCommand(
            source_id="leader", deadman=deadman, action_names=["shoulder", "elbow"]
        )
        message.position = [float(p) for p in position]
        message.header.stamp = stamp(self.now_ns)
        for name, value in fields.items():
            setattr(message, name, value)
        admission = self.node.core.teleop_admission
        before = admission.accepted + admission.refused.total(), admission.holder
        self._teleop.publish(message)
        self.ros.spin_until(
            until
            or (
                lambda: (admission.accepted + admission.refused.total(), admission.holder) != before
            ),
            what="the teleoperation command is judged",
        )

    def ask(self, verb: str) -> Any:
        """Call an operator's service; the clock stands still meanwhile."""
        return self.ros.call(Trigger, f"chunk_executor/{verb}", Trigger.Request())

    def path_sent(self) -> np.ndarray:
        """What the arm was sent up to now, (T, 2)."""
        sentinel = Float64MultiArray(data=[99.0])
        sent = np.array([m.data for m in self.settle(self.arm, 0, sentinel)])
        self.arm.pop()
        return sent

    def offer_unheard(self, actions: Any) -> None:
        """Publish a chunk and let the clock pass, to an executor that is not active."""
        chunk = make_chunk(self.robot, actions, self.now_ns, self.sequence)
        self._chunks.publish(chunk)
        self.now_ns += 5 * PERIOD_NS
        self.clock_only()
        self._chunks.wait_for_all_acked()
        self.ros.spin_some()

    def clock_only(self) -> None:
        """Publish the time and see it arrive, tick or no tick."""
        self._clock.publish(Clock(clock=stamp(self.now_ns)))
        self.ros.spin_until(lambda: self.clock_is_at(0), what="the executor sees the clock")

    def clock_is_at(self, offset_ms: int) -> bool:
        """Whether the executor's clock stands ``offset_ms`` after the last tick."""
        return self.node.get_clock().now().nanoseconds == self.now_ns + offset_ms * MS

    def stamp_in(self, offset_ms: int) -> Time:
        """The time ``offset_ms`` after the last tick."""
        return stamp(self.now_ns + offset_ms * MS)

    def settle(self, received: list[Any], topic_index: int, sentinel: Any) -> list[Any]:
        """What the executor sent up to now: a sentinel from its own publisher ends it."""
        self.publishers[topic_index].publish(sentinel)
        self.ros.spin_until(lambda: received and received[-1] == sentinel, what="the sentinel")
        return received[:-1]


def assert_path_within_limits(path: np.ndarray) -> None:
    """Velocity and acceleration of the arm's commands (T, 2), sent once per period."""
    velocity = np.diff(path, axis=0) / (PERIOD_NS * 1e-9)
    change = np.diff(velocity, axis=0) / (PERIOD_NS * 1e-9)
    assert np.abs(velocity).max() <= 2.0 + 1e-9
    assert np.abs(change).max() <= 10.0 + 1e-6
