"""``joint_trajectory``: the setpoint one period ahead, for a joint_trajectory_controller."""

from __future__ import annotations

from typing import Any

import numpy as np

from pi0_ros.arrays import FloatArray
from pi0_ros.controllers.kind import CommandWriter, ControllerKind, doubles
from pi0_ros.controllers.mock import CommandError, MockController, checked
from pi0_ros.controllers.packer import ControllerPacker
from pi0_ros.controllers.trajectory import Trajectory, splice
from pi0_ros.messages import message_class
from pi0_ros.stamps import NS_PER_S, S_PER_NS, nanoseconds, sec_nanosec

_POINT = "trajectory_msgs/msg/JointTrajectoryPoint"


class JointTrajectory(ControllerKind):
    """trajectory_msgs/JointTrajectory: the setpoint one period ahead, then a stop point."""

    name = "joint_trajectory"
    message_type = "trajectory_msgs/msg/JointTrajectory"

    def writer(self, packer: ControllerPacker) -> CommandWriter:
        return TrajectoryWriter(packer, message_class(self.message_type)())

    def read(self, packer: ControllerPacker, message: Any) -> FloatArray:
        """The first point, by joint name. The points after it only say how to stop."""
        columns = {name: index for index, name in enumerate(message.joint_names)}
        missing = [joint for joint in packer.joints if joint not in columns]
        if missing or not message.points:
            raise CommandError(
                f"{len(message.points)} points for {', '.join(message.joint_names) or 'no joint'};"
                f" {', '.join(missing) or 'a point'} missing"
            )
        positions = np.asarray(message.points[0].positions, dtype=np.float64)
        return positions[[columns[joint] for joint in packer.joints]]

    def mock(self, packer: ControllerPacker, start: FloatArray, timeout_s: float) -> MockController:
        return _MockTrajectory(self, packer, start, timeout_s)


class TrajectoryWriter:
    """Makes trajectories of one point at rest and of two in motion.

    joint_trajectory_controller interpolates with a cubic only between points that carry
    velocities. The velocity is the tangent of the commanded motion, so that the cubic has the
    acceleration of that motion. Accelerations as well would make it a quintic, which gains nothing
    where they are not known any better.

    By default (``allow_nonzero_velocity_at_trajectory_end: false``) the controller refuses a
    trajectory that does not end at rest. The stop point satisfies it. It is also what the arm does
    if the next message never comes: the arm brakes within its limits. The stamp is zero, which
    means: begin on arrival.
    """

    def __init__(self, packer: ControllerPacker, message: Any) -> None:
        self._packer = packer
        still = doubles(np.zeros(len(packer.joints)))
        self._still = still
        self._setpoint = message_class(_POINT)()
        self._stop = message_class(_POINT)(velocities=still)
        period_ns = round(packer.period_s * NS_PER_S)
        _set_duration(self._setpoint.time_from_start, period_ns)
        self._stopped_at = self._stop.time_from_start
        self._message = message
        self._message.joint_names = list(packer.joints)

    def fill(self, command: FloatArray, velocity: FloatArray, _now_ns: int) -> Any:
        """One point at rest, two while moving."""
        packer = self._packer
        here, own = command[packer.indices], velocity[packer.indices]
        self._setpoint.positions = doubles(packer.raw_of(here))
        if not own.any():
            self._setpoint.velocities = self._still
            self._message.points = [self._setpoint]
            return self._message
        self._setpoint.velocities = doubles(packer.raw_rate_of(own))
        brake_s = max(float((np.abs(own) / packer.acceleration).max()), packer.period_s)
        # An arm outside its bounds stops on the way back in, and does not jump to them.
        lower, upper = np.minimum(packer.lower, here), np.maximum(packer.upper, here)
        ahead = np.minimum(np.maximum(here + own * (0.5 * brake_s), lower), upper)
        self._stop.positions = doubles(packer.raw_of(ahead))
        _set_duration(self._stopped_at, round((packer.period_s + brake_s) * NS_PER_S))
        self._message.points = [self._setpoint, self._stop]
        return self._message


class _MockTrajectory(MockController):
    """Follows trajectories as joint_trajectory_controller does, and refuses what it refuses."""

    numbers = "positions"

    def reset(self, setpoint: FloatArray) -> None:
        super().reset(setpoint)
        self._trajectory: Trajectory | None = None

    def receive(self, message: Any, now_s: float) -> None:
        following = self._read_points(message, now_s)
        position, velocity = self._setpoint, np.zeros_like(self._setpoint)
        if self._trajectory is not None:
            position, velocity = self._trajectory.sample(now_s)
        self._trajectory = splice(
            now_s=now_s, position=position, velocity=velocity, following=following
        )

    def sample(self, now_s: float) -> FloatArray:
        if self._trajectory is not None:
            self._setpoint = self._trajectory.sample(now_s)[0]
        return self._setpoint

    def _read_points(self, message: Any, now_s: float) -> Trajectory:
        points, joints = message.points, list(message.joint_names)
        widths = {len(point.positions) for point in points}
        if widths - {len(joints)}:
            raise CommandError(
                f"points of {sorted(widths)} positions for {len(joints)} joint names"
            )
        order = self._order(joints)
        times_s = _times_s(message, now_s)
        positions = np.array([point.positions for point in points], dtype=np.float64)
        positions = checked(self._packer, positions[:, order], "positions")
        velocities = None
        if all(len(point.velocities) == len(point.positions) for point in points):
            raw = np.array([point.velocities for point in points], dtype=np.float64)
            velocities = self._packer.rate(checked(self._packer, raw[:, order], "velocities"))
            if velocities[-1].any():
                raise CommandError(f"ends with velocities {velocities[-1].tolist()}; end at rest")
        return Trajectory(
            times_s=times_s, positions=self._packer.value(positions), velocities=velocities
        )

    def _order(self, joints: list[str]) -> list[int]:
        wanted = self._packer.joints
        if sorted(joints) != sorted(wanted):
            raise CommandError(f"joint names are {joints}; give {', '.join(wanted)}, each once")
        return [joints.index(joint) for joint in wanted]


def _times_s(message: Any, now_s: float) -> FloatArray:
    """When each point is due [s]; a stamp of zero means: begin now."""
    stamp_ns = nanoseconds(message.header.stamp)
    begin_s = stamp_ns * S_PER_NS if stamp_ns else now_s
    times_s = np.array([begin_s + _seconds(point.time_from_start) for point in message.points])
    if len(times_s) == 0:
        raise CommandError("no points; give at least one")
    if (np.diff(times_s) <= 0.0).any():
        raise CommandError(f"points at {times_s.tolist()} s; times must increase")
    if times_s[-1] < now_s:
        raise CommandError(f"ended {now_s - times_s[-1]:.3f} s ago; stamp it with the present")
    return times_s


def _seconds(duration: Any) -> float:
    return float(duration.sec) + float(duration.nanosec) * S_PER_NS


def _set_duration(duration: Any, duration_ns: int) -> None:
    duration.sec, duration.nanosec = sec_nanosec(duration_ns)
