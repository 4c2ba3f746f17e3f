"""Conversions between ROS arrays, embodiment order and the model's slots.

They use numpy only and are cheap enough for every message. The index maps are computed once: per
controller for outgoing messages, and per order of joint names for incoming ones, which a driver
does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.controllers import ControllerPacker
from pi0_ros.embodiment.errors import EmbodimentError, JointStateError
from pi0_ros.embodiment.types import (
    CHECKPOINT_WIDTH,
    PAPER_WIDTH,
    ActionDimension,
    Controller,
    Embodiment,
    StateDimension,
)
from pi0_ros.state_sources import STATE_SOURCES, StateSource

IndexArray = NDArray[np.intp]
Number = TypeVar("Number", bound=np.floating[Any])

#: Orders of names that are remembered per topic. A working driver has one.
_ORDERS_KEPT = 16


class JointStatePacker:
    """Turns what the joint-state topics measure into state values, by joint name."""

    def __init__(self, embodiment: Embodiment) -> None:
        dimensions: dict[str, list[tuple[int, StateDimension]]] = {}
        for index, dimension in enumerate(embodiment.state):
            dimensions.setdefault(dimension.topic, []).append((index, dimension))
        self._topics = {topic: _TopicPacker(topic, rows) for topic, rows in dimensions.items()}
        self._sources = state_sources(embodiment)

    @property
    def topics(self) -> tuple[str, ...]:
        """Joint-state topics of the embodiment, in the order the file names them."""
        return tuple(self._topics)

    def indices(self, topic: str) -> IndexArray:
        """Indices into the state vector of what ``topic`` carries, shape (K,)."""
        return self._of(topic).indices

    def read(self, topic: str, message: Any) -> tuple[IndexArray, FloatArray]:
        """Pack a message of the topic, of rclpy or of rosbags; see :meth:`pack`."""
        return self.pack(topic, *self._sources[topic].read(message))

    def pack(
        self,
        topic: str,
        names: Sequence[str],
        position: Sequence[float],
        velocity: Sequence[float] = (),
        effort: Sequence[float] = (),
    ) -> tuple[IndexArray, FloatArray]:
        """Return (indices, values) of shape (K,): ``state[indices] = values``.

        Values are in the units of the embodiment. The joints may come in any order, and there
        may be more of them. Raises :class:`JointStateError` with topic and joint if a joint is
        missing, has no number in its field, or is not finite.
        """
        return self._of(topic).pack(names, position, velocity, effort)

    def _of(self, topic: str) -> _TopicPacker:
        try:
            return self._topics[topic]
        except KeyError:
            raise JointStateError(
                [
                    f"{topic!r} is not a joint-state topic of the embodiment; "
                    f"it reads {', '.join(self._topics)}"
                ]
            ) from None


def state_sources(embodiment: Embodiment) -> dict[str, StateSource]:
    """How to read each topic that measures the robot, in the order the file names them."""
    return {d.topic: STATE_SOURCES.get(d.message_type) for d in embodiment.state}


class _TopicPacker:
    """The dimensions of one topic, K of them."""

    def __init__(self, topic: str, rows: list[tuple[int, StateDimension]]) -> None:
        self._topic = topic
        self._dimensions = [dimension for _, dimension in rows]
        self.indices: IndexArray = np.array([index for index, _ in rows], dtype=np.intp)
        self.indices.setflags(write=False)
        self._scale = np.array([d.scale for d in self._dimensions])
        self._offset = np.array([d.offset for d in self._dimensions])
        fields = ("position", "velocity", "effort")
        self._places = [
            (field, np.array([i for i, d in enumerate(self._dimensions) if d.field == field]))
            for field in fields
            if any(d.field == field for d in self._dimensions)
        ]
        self._orders: dict[tuple[str, ...], IndexArray] = {}

    def pack(
        self,
        names: Sequence[str],
        position: Sequence[float],
        velocity: Sequence[float],
        effort: Sequence[float],
    ) -> tuple[IndexArray, FloatArray]:
        columns = self._columns(tuple(names))
        arrays = {"position": position, "velocity": velocity, "effort": effort}
        raw = np.empty(len(self._dimensions))
        for field, places in self._places:
            numbers = np.asarray(arrays[field], dtype=np.float64)
            if len(numbers) != len(names):
                raise JointStateError(
                    [
                        f"{self._topic}: {len(numbers)} numbers in {field} for {len(names)} "
                        f"joints; the driver must fill {field} for every joint"
                    ]
                )
            raw[places] = numbers[columns[places]]
        if not np.isfinite(raw).all():
            self._refuse_non_finite(raw)
        values: FloatArray = raw * self._scale + self._offset
        return self.indices, values

    def _columns(self, names: tuple[str, ...]) -> IndexArray:
        """Column of each dimension in a message whose joints are in this order."""
        columns = self._orders.get(names)
        if columns is None:
            where = {name: column for column, name in enumerate(names)}
            missing = [d.joint for d in self._dimensions if d.joint not in where]
            if missing:
                raise JointStateError(
                    [
                        f"{self._topic}: joint {', '.join(map(repr, missing))} missing; "
                        f"the message has {', '.join(names) or 'none'}"
                    ]
                )
            columns = np.array([where[d.joint] for d in self._dimensions], dtype=np.intp)
            if len(self._orders) >= _ORDERS_KEPT:
                self._orders.clear()
            self._orders[names] = columns
        return columns

    def _refuse_non_finite(self, raw: FloatArray) -> None:
        offenders = ", ".join(
            f"{dimension.field} of joint {dimension.joint!r} is {number}"
            for dimension, number in zip(self._dimensions, raw, strict=True)
            if not np.isfinite(number)
        )
        raise JointStateError([f"{self._topic}: {offenders}; the driver must send finite numbers"])


def controller_packer(embodiment: Embodiment, controller: Controller) -> ControllerPacker:
    """Prepare the conversion for one controller of the embodiment."""
    places = {name: index for index, name in enumerate(embodiment.action_names)}
    indices = np.array([places[name] for name in controller.dimensions], dtype=np.intp)
    dimensions = [embodiment.action[i] for i in indices]
    return ControllerPacker(
        name=controller.name,
        topic=controller.topic,
        frame_id=controller.frame_id,
        dimensions=controller.dimensions,
        indices=indices,
        joints=tuple(d.joint for d in dimensions),
        scale=np.array([d.scale for d in dimensions]),
        offset=np.array([d.offset for d in dimensions]),
        lower=np.array([d.limits.lower for d in dimensions]),
        upper=np.array([d.limits.upper for d in dimensions]),
        acceleration=np.array([d.limits.acceleration for d in dimensions]),
        period_s=1.0 / embodiment.rates.control_hz,
        options=controller.options,
    )


def controller_packers(embodiment: Embodiment) -> tuple[ControllerPacker, ...]:
    """One :class:`ControllerPacker` per controller, in the order of the file."""
    return tuple(controller_packer(embodiment, c) for c in embodiment.controllers)


def measured_action(embodiment: Embodiment, state: FloatArray) -> FloatArray:
    """Action that holds the measured state: (..., S) -> (..., A); 0 for velocities."""
    places = {name: index for index, name in enumerate(embodiment.state_names)}
    action = np.zeros((*state.shape[:-1], len(embodiment.action)))
    for index, dimension in enumerate(embodiment.action):
        if dimension.state is not None:
            action[..., index] = state[..., places[dimension.state]]
    return action


def pad_state(embodiment: Embodiment, state: NDArray[Number], width: int) -> NDArray[Number]:
    """Scatter state values to their model slots: (..., S) -> (..., width), zero elsewhere."""
    return _pad(embodiment.state, state, width)


def pad_action(embodiment: Embodiment, action: NDArray[Number], width: int) -> NDArray[Number]:
    """Scatter action values to their model slots: (..., A) -> (..., width), zero elsewhere."""
    return _pad(embodiment.action, action, width)


def unpad_state(embodiment: Embodiment, padded: NDArray[Number]) -> NDArray[Number]:
    """Gather state values from their model slots: (..., width) -> (..., S)."""
    return padded[..., state_slots(embodiment, padded.shape[-1])]


def unpad_action(embodiment: Embodiment, padded: NDArray[Number]) -> NDArray[Number]:
    """Gather action values from their model slots: (..., width) -> (..., A)."""
    return padded[..., action_slots(embodiment, padded.shape[-1])]


def state_slots(embodiment: Embodiment, width: int) -> IndexArray:
    """Slot of each state dimension in a vector of the given width, shape (S,)."""
    return _slots(embodiment.state, width)


def action_slots(embodiment: Embodiment, width: int) -> IndexArray:
    """Slot of each action dimension in a vector of the given width, shape (A,)."""
    return _slots(embodiment.action, width)


_Dimensions = tuple[StateDimension, ...] | tuple[ActionDimension, ...]


def _pad(dimensions: _Dimensions, values: NDArray[Number], width: int) -> NDArray[Number]:
    if values.shape[-1] != len(dimensions):
        raise EmbodimentError(
            [
                f"{values.shape[-1]} values for {len(dimensions)} dimensions; "
                "give one value per dimension, in embodiment order"
            ]
        )
    padded: NDArray[Number] = np.zeros((*values.shape[:-1], width), dtype=values.dtype)
    padded[..., _slots(dimensions, width)] = values
    return padded


def _slots(dimensions: _Dimensions, width: int) -> IndexArray:
    if width == PAPER_WIDTH:
        return np.array([d.slots.paper for d in dimensions], dtype=np.intp)
    if width == CHECKPOINT_WIDTH:
        return np.array([d.slots.checkpoint for d in dimensions], dtype=np.intp)
    raise EmbodimentError(
        [f"no slots for a width of {width}; use {PAPER_WIDTH} (paper) or {CHECKPOINT_WIDTH}"]
    )
