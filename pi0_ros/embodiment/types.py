"""What the suite knows about one robot type, as frozen data.

:func:`pi0_ros.embodiment.load` reads an :class:`Embodiment` from a YAML file. Every part of the
suite uses it unchanged. Vectors are in embodiment order, which is the order in which the file
lists its state and action dimensions.

Units are SI. A dimension's *value* is what the policy sees and predicts. The *raw* number is what
the driver's message carries. ``value = scale * raw + offset``; scale and offset are 1 and 0 for
almost everything but grippers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pi0_ros.controllers import StopBehaviour

#: Camera slots of the model, in prefix order.
CAMERA_SLOTS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")

#: Width of the padded vectors: the paper's and the public checkpoints'.
PAPER_WIDTH = 18
CHECKPOINT_WIDTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Index of a dimension in the model's zero-padded vectors."""

    paper: int
    checkpoint: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one action dimension.

    For a position: ``lower``/``upper`` [unit], ``velocity`` [unit/s], ``acceleration``
    [unit/s^2]. A base velocity is itself a velocity: ``lower``/``upper`` [unit] bound it,
    ``velocity`` bounds its first derivative (an acceleration, [unit/s]) and ``acceleration`` its
    second (a jerk, [unit/s^2]). ``jerk`` bounds the third derivative of both; it is infinite if
    the file states none.
    """

    lower: float
    upper: float
    velocity: float
    acceleration: float
    jerk: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDimension:
    """One measured quantity: its source in a message, and its slot in the model's vectors."""

    name: str
    unit: str
    slots: Slots
    topic: str
    message_type: str
    joint: str
    field: str  # "position", "velocity" or "effort"
    scale: float
    offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDimension:
    """One commanded quantity."""

    name: str
    unit: str
    slots: Slots
    limits: Limits
    joint: str  # joint or axis name in the driver ("linear.x" for a base)
    scale: float
    offset: float
    home: float
    state: str | None  # state dimension that measures it; None for base velocities


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One camera and the model slot it fills.

    ``width`` and ``height`` are the driver's native size [pixels]; frames of
    another size are accepted if they have the same aspect. Rate in Hz.
    """

    name: str
    slot: str
    topic: str
    message_type: str
    encoding: str
    width: int
    height: int
    rate_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """One command topic and the action dimensions it carries, in message order.

    ``kind`` is a name of :data:`pi0_ros.controllers.CONTROLLER_KINDS`; ``options`` are the kind's
    own settings.
    """

    name: str
    kind: str
    topic: str
    message_type: str
    dimensions: tuple[str, ...]
    stop: StopBehaviour
    frame_id: str
    options: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderDimension:
    """A joint of a leader arm, and the action dimension it drives:
    ``action = scale * raw + offset``.
    """

    action: str
    topic: str
    joint: str
    scale: float
    offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Teleoperation:
    """Leader arms of a robot.

    The operator starts by bringing all of ``start_dimensions`` below ``start_below`` in the
    action's unit, usually by closing the leaders' grippers. Without ``start_dimensions`` a deadman
    switch is needed.
    """

    leaders: tuple[LeaderDimension, ...]
    start_dimensions: tuple[str, ...]
    start_below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """``chunk_hz``: steps per second of a chunk; ``control_hz``: executor ticks.

    The policy predicts ``horizon`` steps and executes ``execution_steps`` of them before the next
    inference. ``joint_state_hz`` is the rate that the driver is expected to keep.
    """

    chunk_hz: float
    control_hz: float
    joint_state_hz: float
    horizon: int
    execution_steps: int

    @property
    def step_duration_s(self) -> float:
        """Seconds between two steps of a chunk."""
        return 1.0 / self.chunk_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTolerances:
    """Limits of an aligned set, in seconds.

    ``camera_skew_s``: largest difference between two camera stamps;
    ``state_skew_s``: largest distance of the joint state from the newest frame;
    ``max_age_s``: oldest member when the set is published;
    ``observation_timeout_s``: silence after which the executor holds.
    """

    camera_skew_s: float
    state_skew_s: float
    max_age_s: float
    observation_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitArrays:
    """:class:`Limits` of all action dimensions as float64 arrays of shape (A,)."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    velocity: NDArray[np.float64]
    acceleration: NDArray[np.float64]
    jerk: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embodiment:
    """One robot type: S state dimensions, A action dimensions, up to 3 cameras."""

    name: str
    description: str
    path: Path
    state: tuple[StateDimension, ...]
    action: tuple[ActionDimension, ...]
    cameras: tuple[Camera, ...]
    absent_slots: tuple[str, ...]
    controllers: tuple[Controller, ...]
    rates: Rates
    sync: SyncTolerances
    teleop: Teleoperation | None = None

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the S state dimensions."""
        return tuple(d.name for d in self.state)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the A action dimensions."""
        return tuple(d.name for d in self.action)

    @property
    def slot_mask(self) -> tuple[bool, ...]:
        """Whether each of :data:`CAMERA_SLOTS` has a camera."""
        return tuple(s not in self.absent_slots for s in CAMERA_SLOTS)

    @property
    def limits(self) -> LimitArrays:
        """Limits of the action dimensions, shape (A,) each."""
        rows = [d.limits for d in self.action]
        return LimitArrays(
            lower=np.array([r.lower for r in rows]),
            upper=np.array([r.upper for r in rows]),
            velocity=np.array([r.velocity for r in rows]),
            acceleration=np.array([r.acceleration for r in rows]),
            jerk=np.array([r.jerk for r in rows]),
        )

    @property
    def home(self) -> NDArray[np.float64]:
        """Home pose in embodiment units, shape (A,); zero for base velocities."""
        return np.array([d.home for d in self.action])
