"""The mock robot's joints: from action values to what its drivers would publish."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pi0_bringup.mock.lag import LaggedAxes
from pi0_ros.embodiment import Embodiment, StateDimension
from pi0_ros.state_sources import JointReading


def start_pose(embodiment: Embodiment, start: Collection[float]) -> NDArray[np.float64]:
    """The pose to start in, shape (A,): ``start``, or home if that is empty.

    Raises ValueError if its length is not that of the action or a number is not finite.
    """
    if not start:
        return embodiment.home
    pose = np.array([float(value) for value in start])
    if len(pose) != len(embodiment.action) or not np.isfinite(pose).all():
        raise ValueError(
            f"start is {list(start)}; give {len(embodiment.action)} finite numbers, one for "
            f"each of {', '.join(embodiment.action_names)}, or none for the home pose"
        )
    return pose


class MockJoints:
    """Lagged joints of one embodiment, read out by topic as its drivers would.

    ``missing`` are state dimensions that the driver leaves out of its messages.
    A state that no action moves stands at zero. Raises ValueError if ``missing``
    names a dimension that the embodiment does not have.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        start: NDArray[np.float64],
        time_constant_s: float,
        missing: Collection[str] = (),
    ) -> None:
        unknown = [name for name in missing if name not in embodiment.state_names]
        if unknown:
            raise ValueError(
                f"missing_joints names {', '.join(unknown)}; {embodiment.name} has "
                f"{', '.join(embodiment.state_names)}"
            )
        self.axes = LaggedAxes(embodiment.limits, start, time_constant_s)
        self._mover = {d.state: k for k, d in enumerate(embodiment.action) if d.state}
        self._topics: dict[str, list[StateDimension]] = {}
        for dimension in embodiment.state:
            rows = self._topics.setdefault(dimension.topic, [])
            if dimension.name not in missing:
                rows.append(dimension)

    @property
    def topics(self) -> tuple[str, ...]:
        """Joint-state topics, in the order the embodiment names them."""
        return tuple(self._topics)

    def readings(self) -> dict[str, JointReading]:
        """What each driver measures now, in raw units."""
        return {topic: self._reading(rows) for topic, rows in self._topics.items()}

    def _reading(self, rows: list[StateDimension]) -> JointReading:
        names = tuple(dict.fromkeys(row.joint for row in rows))
        columns = {field: np.zeros(len(names)) for field in ("position", "velocity", "effort")}
        for row in rows:
            if row.name not in self._mover:
                continue
            k, joint = self._mover[row.name], names.index(row.joint)
            if row.field == "position":
                columns["position"][joint] = (self.axes.position[k] - row.offset) / row.scale
                columns["velocity"][joint] = self.axes.velocity[k] / row.scale
            else:
                columns[row.field][joint] = (self.axes.position[k] - row.offset) / row.scale
        return JointReading(names=names, **columns)
