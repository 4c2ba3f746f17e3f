"""What the controllers of a robot were told last, checked as they would check it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pi0_bringup.drivers.trajectory import Trajectory, splice
from pi0_ros.embodiment import Controller, Embodiment

#: Silence after which a base controller stops the base: diff_drive_controller's default [s].
BASE_TIMEOUT_S = 0.5


class CommandError(ValueError):
    """A command no controller would follow; the message names topic, value and fix."""


class Commands:
    """Setpoint of every action dimension, fed by command messages of any kind.

    Messages carry raw driver numbers; :meth:`sample` answers in embodiment order
    and units. A refused command raises :class:`CommandError`, is counted, and
    leaves the setpoint as it was. Thread-safe.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        start: NDArray[np.float64],
        base_timeout_s: float = BASE_TIMEOUT_S,
    ) -> None:
        self._embodiment = embodiment
        self._dimensions = {d.name: d for d in embodiment.action}
        index = {name: k for k, name in enumerate(embodiment.action_names)}
        self._rows = {c.name: [index[d] for d in c.dimensions] for c in embodiment.controllers}
        self._base_timeout_s = base_timeout_s
        self._lock = threading.Lock()
        self._setpoint = start.astype(np.float64)
        self._trajectories: dict[str, Trajectory] = {}
        self._twist_until_s: dict[str, float] = {}
        #: Commands followed and refused since construction, by controller name.
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.last_refusal = ""
        self._reported = 0

    def reset(self, setpoint: NDArray[np.float64]) -> None:
        """Forget every command; hold this action, shape (A,)."""
        with self._lock:
            self._setpoint = setpoint.astype(np.float64)
            self._trajectories.clear()
            self._twist_until_s.clear()

    def positions(self, controller: Controller, data: Sequence[float]) -> None:
        """Follow a Float64MultiArray: one raw number for each dimension, in order."""
        values = self._values(controller, np.asarray(data, np.float64), "data")
        with self._lock:
            self._setpoint[self._rows[controller.name]] = values
            self.accepted[controller.name] += 1

    def trajectory(
        self, controller: Controller, joints: Sequence[str], waypoints: Trajectory, now_s: float
    ) -> None:
        """Follow a JointTrajectory whose raw columns are in the order of ``joints``."""
        order = self._order(controller, joints)
        times_s = waypoints.times_s
        if len(times_s) == 0:
            self._refuse(controller, "no points; give at least one")
        if (np.diff(times_s) <= 0.0).any():
            self._refuse(controller, f"points at {times_s.tolist()} s; times must increase")
        if times_s[-1] < now_s:
            self._refuse(
                controller, f"ended {now_s - times_s[-1]:.3f} s ago; stamp it with the present"
            )
        positions = self._values(controller, waypoints.positions, "positions", order)
        velocities = waypoints.velocities
        if velocities is not None:
            # An offset shifts positions only.
            velocities = self._values(controller, velocities, "velocities", order, shifted=False)
            if velocities[-1].any():
                self._refuse(
                    controller, f"ends with velocities {velocities[-1].tolist()}; end at rest"
                )
        following = Trajectory(times_s=times_s, positions=positions, velocities=velocities)
        with self._lock:
            position, velocity = self._current(controller, now_s)
            self._trajectories[controller.name] = splice(
                now_s=now_s, position=position, velocity=velocity, following=following
            )
            self.accepted[controller.name] += 1

    def twist(self, controller: Controller, axes: Mapping[str, float], now_s: float) -> None:
        """Follow a TwistStamped, given by axis (``linear.x`` ...), until the base timeout."""
        joints = [self._dimensions[name].joint for name in controller.dimensions]
        for axis, speed in axes.items():
            if speed != 0.0 and axis not in joints:
                self._refuse(
                    controller, f"{axis} is {speed}; this base moves along {', '.join(joints)}"
                )
        raw = np.array([axes.get(joint, 0.0) for joint in joints])
        values = self._values(controller, raw, "twist")
        with self._lock:
            self._setpoint[self._rows[controller.name]] = values
            self._twist_until_s[controller.name] = now_s + self._base_timeout_s
            self.accepted[controller.name] += 1

    def sample(self, now_s: float) -> NDArray[np.float64]:
        """The setpoint at a time, shape (A,)."""
        with self._lock:
            for name, trajectory in self._trajectories.items():
                self._setpoint[self._rows[name]] = trajectory.sample(now_s)[0]
            for name, until_s in self._twist_until_s.items():
                if now_s > until_s:
                    self._setpoint[self._rows[name]] = 0.0
            return self._setpoint.copy()

    def summary(self) -> dict[str, str]:
        """Commands followed and refused by controller, and why the last was refused."""
        values = {}
        for controller in self._embodiment.controllers:
            values[f"{controller.name}.accepted"] = str(self.accepted[controller.name])
            values[f"{controller.name}.refused"] = str(self.refused[controller.name])
        values["last_refusal"] = self.last_refusal
        return values

    def complaint(self) -> str | None:
        """What to tell an operator of commands refused since the last call; None if none were."""
        total = self.refused.total()
        new, self._reported = total - self._reported, total
        return f"{new} commands refused, the last: {self.last_refusal}" if new else None

    def _current(
        self, controller: Controller, now_s: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if controller.name in self._trajectories:
            return self._trajectories[controller.name].sample(now_s)
        position = self._setpoint[self._rows[controller.name]]
        return position, np.zeros_like(position)

    def _order(self, controller: Controller, joints: Sequence[str]) -> list[int]:
        wanted = [self._dimensions[name].joint for name in controller.dimensions]
        if sorted(joints) != sorted(wanted):
            self._refuse(
                controller, f"joint names are {list(joints)}; give {', '.join(wanted)}, each once"
            )
        return [list(joints).index(joint) for joint in wanted]

    def _values(
        self,
        controller: Controller,
        raw: NDArray[np.float64],
        what: str,
        order: list[int] | None = None,
        *,
        shifted: bool = True,
    ) -> NDArray[np.float64]:
        """Raw (..., D) in message order to values in the order of the controller."""
        dimensions = [self._dimensions[name] for name in controller.dimensions]
        if raw.shape[-1] != len(dimensions):
            self._refuse(
                controller,
                f"{what} has {raw.shape[-1]} numbers; give {len(dimensions)}: "
                f"{', '.join(controller.dimensions)}",
            )
        raw = raw if order is None else raw[..., order]
        if not np.isfinite(raw).all():
            bad = np.flatnonzero(~np.isfinite(raw).reshape(-1, len(dimensions)).all(axis=0))
            names = [controller.dimensions[k] for k in bad]
            self._refuse(controller, f"{what} of {', '.join(names)} is not finite")
        offset = np.array([d.offset if shifted else 0.0 for d in dimensions])
        values: NDArray[np.float64] = np.array([d.scale for d in dimensions]) * raw + offset
        return values

    def refuse(self, controller: Controller, reason: str) -> CommandError:
        """Count a refusal and return the error to raise."""
        self.refused[controller.name] += 1
        self.last_refusal = f"{controller.topic}: {reason}"
        return CommandError(self.last_refusal)

    def _refuse(self, controller: Controller, reason: str) -> None:
        raise self.refuse(controller, reason)
