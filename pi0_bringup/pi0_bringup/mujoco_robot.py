"""The node ``mujoco_robot``: a simulated scene behind the topics of an embodiment's drivers.

It is the source of ``/clock`` and therefore never uses simulated time itself. Physics, clock
and joint states run in one thread, rendering in a second one, ROS callbacks in the node's.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, Int32, UInt8

from pi0_bringup.drivers.commands import Commands
from pi0_bringup.drivers.endpoints import (
    CameraPublishers,
    CommandSubscriptions,
    JointStatePublishers,
)
from pi0_bringup.drivers.images import check_aspect
from pi0_bringup.simulation.lockstep import Lockstep
from pi0_bringup.simulation.loop import SimulationLoop, Timing
from pi0_bringup.simulation.render_thread import Frames, RenderThread
from pi0_bringup.simulation.scene import Scene, open_scene, scene_cameras
from pi0_msgs.msg import ExecutorStatus, TeleopCommand
from pi0_msgs.srv import ResetSimulation
from pi0_ros.arrays import FloatArray
from pi0_ros.camera_encodings import CAMERA_ENCODINGS
from pi0_ros.embodiment import Embodiment, load
from pi0_ros.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS, ManagedNode
from pi0_ros.nodes.process import run
from pi0_ros.nodes.time_messages import time_message
from pi0_ros.stamps import NS_PER_S, S_PER_NS, nanoseconds
from pi0_ros.state_sources import JointReading

#: The largest default camera rate: one core renders it beside the physics.
DEFAULT_CAMERA_HZ = 30.0
#: Diagnostics warn below this share of the requested real-time factor.
_SLOW = 0.95
#: How far a teleoperation source may be behind in lockstep: less than the executor's
#: ``teleop_timeout_s``, more than the period of a slow source.
_SOURCE_LAG_NS = 100_000_000


class MujocoRobot(ManagedNode):
    """A scene as a robot; parameters and topics are in the reference."""

    def __init__(self, **options: Any) -> None:
        super().__init__("mujoco_robot", **options)
        self.declare_parameter("embodiment", "bimanual_trossen")
        self.declare_parameter("scene", "")
        self.declare_parameter("seed", 0)
        self.declare_parameter("render_height", 168)
        self.declare_parameter("render_width", 224)
        self.declare_parameter("camera_rate_hz", 0.0)
        self.declare_parameter("joint_state_hz", 0.0)
        self.declare_parameter("clock_hz", 100.0)
        self.declare_parameter("real_time_factor", 1.0)
        self.declare_parameter("lockstep", False)
        self._begin_ns = 0

    def setup(self) -> None:
        if self.get_parameter("use_sim_time").value:
            raise ValueError(
                "use_sim_time is true; mujoco_robot is the source of /clock: leave it false"
            )
        self._embodiment = load(self.get_parameter("embodiment").value)
        height = self.get_parameter("render_height").value
        width = self.get_parameter("render_width").value
        for camera in self._embodiment.cameras:
            check_aspect(camera, height, width)
        self._scene = open_scene(self._embodiment, self.get_parameter("scene").value)
        views = tuple(scene_cameras(self._scene, self._embodiment).values())
        timing = self._timing()
        self._scene.reset(self.get_parameter("seed").value)
        self._commands = Commands(self._embodiment, self._scene.measured_action())
        self._renderer = RenderThread(self._scene.model, height, width, views)
        self.add_cleanup(self._renderer.close)
        self._outputs = _Outputs(self, self._embodiment, self._commands, self._scene)
        self._locksteps = (
            self._listen_to_followers() if self.get_parameter("lockstep").value else ()
        )
        self._loop = SimulationLoop(
            *(self._scene, self._renderer, timing, self._outputs, self._begin_ns, self._locksteps)
        )
        self.add_cleanup(self._keep_time)
        self._target_factor = timing.real_time_factor
        self._listen()

    def _listen_to_followers(self) -> tuple[Lockstep, ...]:
        """The locksteps of the executor and of the teleoperation source."""
        period_ns = round(NS_PER_S / self._embodiment.rates.control_hz)
        executor, source = Lockstep(period_ns), Lockstep(period_ns, _SOURCE_LAG_NS)

        def on_status(message: ExecutorStatus) -> None:
            active = message.state != ExecutorStatus.INACTIVE
            executor.acknowledge(nanoseconds(message.header.stamp), active)

        def on_command(message: TeleopCommand) -> None:
            source.acknowledge(nanoseconds(message.header.stamp), message.deadman)

        for kind, topic, callback, qos in (
            (ExecutorStatus, "executor_status", on_status, LATCHED_QOS),
            (TeleopCommand, "teleop_command", on_command, COMMAND_QOS),
        ):
            self.create_subscription(kind, topic, callback, qos)
        return executor, source

    def _timing(self) -> Timing:
        rates = self._embodiment.rates
        camera_hz = min(DEFAULT_CAMERA_HZ, *(c.rate_hz for c in self._embodiment.cameras))
        timing = Timing(
            clock_hz=self.get_parameter("clock_hz").value,
            joint_state_hz=self.get_parameter("joint_state_hz").value or rates.joint_state_hz,
            camera_rate_hz=self.get_parameter("camera_rate_hz").value or camera_hz,
            real_time_factor=self.get_parameter("real_time_factor").value,
            timestep_s=self._scene.model.opt.timestep,
        )
        if timing.clock_hz % rates.control_hz:
            raise ValueError(
                f"clock_hz is {timing.clock_hz:g}; give a multiple of the control rate of "
                f"{self._embodiment.name}, {rates.control_hz:g} Hz"
            )
        return timing

    def _listen(self) -> None:
        subscriptions = CommandSubscriptions(
            self, self._embodiment, self._commands, now_s=lambda: self._loop.now_ns * S_PER_NS
        )
        self.add_cleanup(subscriptions.destroy)
        self.create_service(ResetSimulation, "~/reset", self._on_reset)
        DiagnosticsPublisher(self, "mujoco", "simulation", self._diagnose)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def _keep_time(self) -> None:
        # The next configuration continues from here, at a whole second.
        self._begin_ns = -(-self._loop.now_ns // NS_PER_S) * NS_PER_S

    def _on_reset(
        self, request: ResetSimulation.Request, response: ResetSimulation.Response
    ) -> ResetSimulation.Response:
        try:
            self._loop.reset(request.seed, self._forget)
        except (ValueError, TimeoutError) as error:
            response.success, response.message = False, str(error)
            return response
        response.success = True
        response.message = f"seed {request.seed}: {self._placed}"
        return response

    def _forget(self) -> None:
        # Called between two physics steps: the next one lets the objects fall onto the table.
        poses = self._scene.object_poses().items()
        places = (f"{name} at ({x:.3f}, {y:.3f}, {z:.3f}) m" for name, (x, y, z, *_) in poses)
        self._placed = ", ".join(places) or "no objects"
        self._commands.reset(self._scene.measured_action())
        self._outputs.begin_episode()

    def _diagnose(self) -> Reading:
        achieved = self._loop.pacer.achieved
        durations = list(self._renderer.durations_s)
        values = {
            "real_time_factor": f"{achieved:.3f}",
            "simulated_time_s": f"{self._loop.now_ns * S_PER_NS:.2f}",
            "reward": str(self._outputs.last_reward),
            "best_reward": str(self._outputs.best_reward),
            "max_reward": str(self._scene.task.max_reward),
            "render_p50_ms": f"{statistics.median(durations) * 1e3:.1f}" if durations else "",
            **self._commands.summary(),
        }
        if self._locksteps:
            values["unanswered_ticks"] = str(sum(each.unanswered for each in self._locksteps))
        if self._outputs.failure is not None:
            return ERROR, f"the simulation has ended: {self._outputs.failure}", values
        complaint = self._commands.complaint()
        if complaint is not None:
            return WARN, complaint, values
        if 0.0 < achieved < _SLOW * self._target_factor:
            return WARN, f"slower than real time: factor {achieved:.2f}", values
        return OK, f"simulating, real-time factor {achieved:.2f}", values


class _Outputs:
    """Publishes the outputs of the simulation; called in the threads of the simulation."""

    def __init__(
        self, node: Node, embodiment: Embodiment, commands: Commands, scene: Scene
    ) -> None:
        self._node = node
        self._commands = commands
        self._task = scene.task
        self._cameras = embodiment.cameras
        self._view_of_camera = scene_cameras(scene, embodiment)
        self._joint_states = JointStatePublishers(node, embodiment)
        self._camera_publishers = CameraPublishers(node, embodiment.cameras)
        # The name is absolute because the time source of every node subscribes to /clock.
        self._clock = node.create_publisher(Clock, "/clock", SENSOR_QOS)
        self._success = node.create_publisher(Bool, "~/success", LATCHED_QOS)
        self._reward = node.create_publisher(UInt8, "~/reward", LATCHED_QOS)
        # No real robot has these topics. Scripted experts and recordings use them.
        self._poses = {
            name: node.create_publisher(PoseStamped, f"simulation/{name}_pose", COMMAND_QOS)
            for name in scene.object_poses()
        }
        self._rewards = node.create_publisher(Int32, "simulation/reward", COMMAND_QOS)
        self.failure: Exception | None = None
        self.last_reward: int | None = None
        self.best_reward = 0

    def begin_episode(self) -> None:
        """Clear the rewards of the previous episode."""
        self.last_reward = None
        self.best_reward = 0

    def command(self, now_ns: int) -> FloatArray:
        """The setpoint of the controllers at this time."""
        return self._commands.sample(now_ns * S_PER_NS)

    def clock(self, now_ns: int) -> None:
        """Publish /clock."""
        self._clock.publish(Clock(clock=time_message(now_ns)))

    def joints(self, now_ns: int, readings: Mapping[str, JointReading]) -> None:
        """Publish the joint states."""
        self._joint_states.publish(now_ns, readings)

    def frames(self, stamp_ns: int, frames: Frames) -> None:
        """Publish one frame of each camera, all with the same stamp."""
        for camera in self._cameras:
            encoding = CAMERA_ENCODINGS.get(camera.encoding)
            frame = encoding.encode(frames[self._view_of_camera[camera.name]])
            self._camera_publishers.publish(camera, stamp_ns, frame)

    def objects(self, now_ns: int, poses: Mapping[str, FloatArray]) -> None:
        """Publish the pose of each object."""
        for name, pose in poses.items():
            message = PoseStamped()
            message.header.stamp = time_message(now_ns)
            message.header.frame_id = "world"
            position, turn = message.pose.position, message.pose.orientation
            position.x, position.y, position.z = pose[:3].tolist()
            turn.w, turn.x, turn.y, turn.z = pose[3:].tolist()
            self._poses[name].publish(message)

    def reward(self, now_ns: int, reward: int) -> None:
        """Publish the reward, and on a change the latched reward and success."""
        self._rewards.publish(Int32(data=reward))
        if reward == self.last_reward:
            return
        first = self.last_reward is None
        was_success = self._task.is_solved(self.best_reward)
        self.last_reward = reward
        self.best_reward = max(self.best_reward, reward)
        self._reward.publish(UInt8(data=reward))
        is_success = self._task.is_solved(self.best_reward)
        if first or is_success != was_success:
            self._success.publish(Bool(data=is_success))

    def failed(self, error: Exception) -> None:
        """Record the reason and end the process: without physics there is no robot."""
        self.failure = error
        self._node.fail(f"the simulation has ended: {error}")


def main() -> None:
    """Run the node until it is interrupted."""
    raise SystemExit(run(MujocoRobot))


if __name__ == "__main__":
    main()
