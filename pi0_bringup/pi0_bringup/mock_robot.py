"""The node ``mock_robot``, which offers the driver topics of any embodiment without physics.

Joints follow their commands with a lag, bases integrate their velocity, and cameras show a moving
test pattern. Parameters remove or freeze streams, to test how the suite reacts.
"""

from __future__ import annotations

import math
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.parameter import Parameter

from pi0_bringup.drivers.commands import BASE_TIMEOUT_S, Commands
from pi0_bringup.drivers.endpoints import (
    CameraPublishers,
    CommandSubscriptions,
    JointStatePublishers,
)
from pi0_bringup.mock.joints import MockJoints, start_pose
from pi0_bringup.mock.odometry import PlanarPose
from pi0_bringup.mock.pattern import PatternCamera
from pi0_msgs.srv import ResetSimulation
from pi0_ros.embodiment import Camera, Embodiment, load
from pi0_ros.nodes.diagnostics import OK, WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.managed import COMMAND_QOS, ManagedNode
from pi0_ros.nodes.process import run
from pi0_ros.nodes.time_messages import time_message
from pi0_ros.stamps import S_PER_NS

#: Base controllers report odometry at about this rate.
ODOMETRY_HZ = 50.0
_BASE_AXES = ("linear.x", "linear.y", "angular.z")
#: Longest time [s] by which one callback moves the joints, however late it is.
_MAX_STEP_S = 0.1


class MockRobot(ManagedNode):
    """Parameters and topics: see docs/reference/robots_without_hardware.md."""

    def __init__(self, **options: Any) -> None:
        super().__init__("mock_robot", **options)
        self.declare_parameter("embodiment", "")
        self.declare_parameter("joint_state_hz", 0.0)
        self.declare_parameter("camera_rate_hz", 0.0)
        self.declare_parameter("camera_scale", 1.0)
        self.declare_parameter("time_constant_s", 0.05)
        self.declare_parameter("base_timeout_s", BASE_TIMEOUT_S)
        self._declare_list("start", Parameter.Type.DOUBLE_ARRAY)
        for fault in ("silent_cameras", "frozen_cameras", "missing_joints"):
            self._declare_list(fault, Parameter.Type.STRING_ARRAY)

    def _declare_list(self, name: str, kind: Parameter.Type) -> None:
        # An empty list has no element type, so the type is declared without a value.
        self.declare_parameter(name, kind)

    def _list(self, name: str) -> list[Any]:
        return list(self.get_parameter_or(name, Parameter(name, value=[])).value or [])

    def setup(self) -> None:
        self._embodiment = load(self.get_parameter("embodiment").value)
        self._start = start_pose(self._embodiment, self._list("start"))
        self._joints = MockJoints(
            self._embodiment,
            self._start,
            self.get_parameter("time_constant_s").value,
            self._list("missing_joints"),
        )
        self.commands = Commands(
            self._embodiment, self._start, self.get_parameter("base_timeout_s").value
        )
        self._pose = PlanarPose()
        self._advanced_ns = self._now_ns()
        self._prepare_cameras()
        self._joint_states = JointStatePublishers(self, self._embodiment)
        self._odometry = _odometry_publisher(self, self._embodiment)
        subscriptions = CommandSubscriptions(
            self, self._embodiment, self.commands, now_s=lambda: self._now_ns() * S_PER_NS
        )
        self.add_cleanup(subscriptions.destroy)
        self.create_service(ResetSimulation, "~/reset", self._on_reset)
        DiagnosticsPublisher(self, "mock", "robot", self._diagnose)

    def _prepare_cameras(self) -> None:
        silent, frozen = self._list("silent_cameras"), self._list("frozen_cameras")
        known = [camera.name for camera in self._embodiment.cameras]
        for fault, names in (("silent_cameras", silent), ("frozen_cameras", frozen)):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise ValueError(
                    f"{fault} names {', '.join(unknown)}; {self._embodiment.name} has "
                    f"{', '.join(known)}"
                )
        scale = self.get_parameter("camera_scale").value
        self._cameras = [c for c in self._embodiment.cameras if c.name not in silent]
        self._patterns = {
            camera.name: PatternCamera(camera, scale, frozen=camera.name in frozen)
            for camera in self._cameras
        }
        # The driver of a silent camera offers its topic but never sends a frame.
        self._frames = CameraPublishers(self, self._embodiment.cameras)

    def start(self) -> None:
        self._advanced_ns = self._now_ns()
        rate_hz = self._rate("joint_state_hz", self._embodiment.rates.joint_state_hz)
        self.create_timer(1.0 / rate_hz, self._on_joints)
        if self._odometry is not None:
            self.create_timer(1.0 / ODOMETRY_HZ, self._on_odometry)
        by_rate: dict[float, list[Camera]] = {}
        for camera in self._cameras:
            rate_hz = self._rate("camera_rate_hz", camera.rate_hz)
            by_rate.setdefault(rate_hz, []).append(camera)
        for rate_hz, cameras in by_rate.items():
            self.create_timer(1.0 / rate_hz, lambda cameras=cameras: self._on_frames(cameras))

    def _rate(self, parameter: str, stated_hz: float) -> float:
        rate_hz = self.get_parameter(parameter).value
        if not (math.isfinite(rate_hz) and rate_hz >= 0.0):
            raise ValueError(
                f"{parameter} is {rate_hz}; give a rate in Hz, or 0 for the embodiment's own"
            )
        return rate_hz or stated_hz

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _advance(self) -> int:
        """Move joints and base up to the present; returns it in nanoseconds."""
        now_ns = self._now_ns()
        duration_s = min((now_ns - self._advanced_ns) * S_PER_NS, _MAX_STEP_S)
        self._advanced_ns = now_ns
        if duration_s <= 0.0:
            return now_ns
        axes = self._joints.axes
        axes.advance(self.commands.sample(now_ns * S_PER_NS), duration_s)
        if self._odometry is not None:
            vx, vy, yaw_rate = self._twist()
            self._pose = self._pose.moved(vx, vy, yaw_rate, duration_s)
        return now_ns

    def _twist(self) -> tuple[float, float, float]:
        """Base velocity now: forward, left [m/s] and yaw rate [rad/s]."""
        velocity = {
            d.joint: float(self._joints.axes.position[k])
            for k, d in enumerate(self._embodiment.action)
            if d.state is None
        }
        x, y, yaw = (velocity.get(axis, 0.0) for axis in _BASE_AXES)
        return x, y, yaw

    def _on_joints(self) -> None:
        now_ns = self._advance()
        self._joint_states.publish(now_ns, self._joints.readings())

    def _on_odometry(self) -> None:
        now_ns = self._advance()
        message = Odometry(child_frame_id="base_link")
        message.header.stamp = time_message(now_ns)
        message.header.frame_id = "odom"
        message.pose.pose.position.x = self._pose.x_m
        message.pose.pose.position.y = self._pose.y_m
        message.pose.pose.orientation.z = math.sin(self._pose.yaw_rad / 2.0)
        message.pose.pose.orientation.w = math.cos(self._pose.yaw_rad / 2.0)
        twist = message.twist.twist
        twist.linear.x, twist.linear.y, twist.angular.z = self._twist()
        self._odometry.publish(message)

    def _on_frames(self, cameras: list[Camera]) -> None:
        stamp_ns = self._now_ns()
        for camera in cameras:
            self._frames.publish(camera, stamp_ns, self._patterns[camera.name].frame())

    def _on_reset(
        self, request: ResetSimulation.Request, response: ResetSimulation.Response
    ) -> ResetSimulation.Response:
        self.commands.reset(self._start)
        self._joints.axes.reset(self._start)
        self._pose = PlanarPose()
        response.success = True
        response.message = "joints at the start pose, odometry at the origin"
        return response

    def _diagnose(self) -> Reading:
        faults = {
            name: ", ".join(self._list(name))
            for name in ("silent_cameras", "frozen_cameras", "missing_joints")
        }
        values = self.commands.summary() | faults
        injected = [f"{name}: {what}" for name, what in faults.items() if what]
        complaint = self.commands.complaint()
        if not self.is_active:
            return OK, "inactive", values
        if complaint is not None:
            return WARN, complaint, values
        if injected:
            return WARN, f"mock hardware with faults: {'; '.join(injected)}", values
        return OK, "mock hardware: nothing moves", values


def _odometry_publisher(node: Node, embodiment: Embodiment) -> Any:
    if not any(d.state is None and d.joint in _BASE_AXES for d in embodiment.action):
        return None
    return node.create_publisher(Odometry, "odom", COMMAND_QOS)


def main() -> None:
    """Run the node until it is interrupted."""
    raise SystemExit(run(MockRobot))


if __name__ == "__main__":
    main()
