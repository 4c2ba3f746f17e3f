"""The node ``scripted_expert``: demonstrates the scene ``transfer_cube``.

``~/demonstrate`` plans a demonstration from the poses of cube and arms and carries it out; the
node holds its deadman meanwhile. ``~/finished`` counts the completed demonstrations;
``~/aborted`` says why one was not completed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import String, UInt64
from std_srvs.srv import Trigger

from pi0_bringup.simulation.transfer_cube import TransferCube
from pi0_bringup.teleoperation.expert.motion import Motion, TransferExpert
from pi0_bringup.teleoperation.source import Setpoint, TeleopSource
from pi0_ros.arrays import FloatArray
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS
from pi0_ros.nodes.process import run
from pi0_ros.stamps import S_PER_NS, nanoseconds

#: An older cube pose is not used [s].
_POSE_TIMEOUT_S = 0.5


class ScriptedExpert(TeleopSource):
    """Parameters and topics are in the reference."""

    def __init__(self, **options: Any) -> None:
        super().__init__("scripted_expert", **options)
        self.declare_parameter("seed", 0)
        self._cube: PoseStamped | None = None
        self._motion: Motion | None = None
        self._begin_ns = 0
        self._demonstrations = 0

    def prepare(self) -> None:
        self._expert = TransferExpert(TransferCube(self.robot).model, self.robot)
        self.create_subscription(PoseStamped, "simulation/cube_pose", self._on_cube, SENSOR_QOS)
        self.create_service(Trigger, "~/demonstrate", self._on_demonstrate)
        self._finished = self.create_publisher(UInt64, "~/finished", LATCHED_QOS)
        self._aborted = self.create_publisher(String, "~/aborted", COMMAND_QOS)

    def stop(self) -> None:
        self._motion = None
        super().stop()

    def held(self, now_ns: int) -> bool:
        motion = self._motion
        if motion is None:
            return False
        if self.engagement.reason:  # an interrupted demonstration is not resumed
            self._motion = None
            self._aborted.publish(String(data=self.engagement.reason))
            return False
        if (now_ns - self._begin_ns) * S_PER_NS > motion.duration_s:
            self._motion = None
            self._demonstrations += 1
            self._finished.publish(UInt64(data=self._demonstrations))
            return False
        return True

    def engage(self, commanded: FloatArray, now_ns: int) -> None:
        self._begin_ns = now_ns

    def advance(self, now_ns: int, elapsed_s: float) -> Setpoint:
        assert self._motion is not None  # held() saw it
        position, velocity = self._motion.at((now_ns - self._begin_ns) * S_PER_NS)
        return Setpoint(self.robot.action_names, position, velocity)

    def _on_cube(self, message: PoseStamped) -> None:
        self._cube = message

    def _on_demonstrate(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        seed = self.get_parameter("seed").value
        try:
            self._motion = self._plan(seed)
        except ValueError as error:
            response.success, response.message = False, str(error)
            return response
        self._begin_ns = self._now_ns()
        response.success = True
        response.message = f"seed {seed}: {self._motion.duration_s:.1f} s"
        return response

    def _plan(self, seed: int) -> Motion:
        """Raises ValueError with the reason why no demonstration can start now."""
        now_ns = self._now_ns()
        if not self.is_active:
            raise ValueError("scripted_expert is not active")
        if seed < 0:
            raise ValueError(f"seed is {seed}; give a whole number of at least 0")
        if self._motion is not None:
            raise ValueError("a demonstration is in progress; wait for its end")
        problem = self.problem(now_ns)
        if problem is not None:
            raise ValueError(problem)
        if self._cube is None:
            raise ValueError("no cube on simulation/cube_pose; start mujoco_robot")
        age_s = (now_ns - nanoseconds(self._cube.header.stamp)) * S_PER_NS
        if not age_s < _POSE_TIMEOUT_S:
            raise ValueError(f"simulation/cube_pose is {age_s:.1f} s old")
        commanded = self.commanded
        assert commanded is not None  # problem() saw it
        cube = self._cube.pose.position
        return self._expert.plan(np.array((cube.x, cube.y, cube.z)), commanded, seed)


def main() -> None:
    """Run the node until it is interrupted."""
    raise SystemExit(run(ScriptedExpert))


if __name__ == "__main__":
    main()
