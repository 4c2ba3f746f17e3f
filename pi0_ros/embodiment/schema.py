"""The YAML of an embodiment, field by field.

These models check each value on its own: its type, range and vocabulary. Checks that compare two
places of the file are in :mod:`pi0_ros.embodiment.checks`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pi0_ros.camera_encodings import IMAGE
from pi0_ros.controllers import CONTROLLER_KINDS
from pi0_ros.embodiment.types import CHECKPOINT_WIDTH, PAPER_WIDTH
from pi0_ros.extensions import ExtensionTable, UnknownEntryError
from pi0_ros.state_sources import STATE_SOURCES
from pi0_ros.state_sources.joint_state import JointState

Unit = Literal["rad", "m", "normalised", "rad/s", "m/s", "Nm", "N"]
NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
TOPIC_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*$"


def _non_zero(value: float) -> float:
    if value == 0.0:
        raise ValueError("cannot be undone by a division; use any other number")
    return value


def _known_in(table: ExtensionTable[Any]) -> AfterValidator:
    def check(name: str) -> str:
        try:
            table.get(name)
        except UnknownEntryError as error:
            raise ValueError(error.reason) from error
        return name

    return AfterValidator(check)


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Topic = Annotated[str, Field(pattern=TOPIC_PATTERN)]
Positive = Annotated[float, Field(gt=0)]
Scale = Annotated[float, AfterValidator(_non_zero)]
Count = Annotated[int, Field(ge=1)]
PaperSlot = Annotated[int, Field(strict=True, ge=0, lt=PAPER_WIDTH)]
CheckpointSlot = Annotated[int, Field(strict=True, ge=0, lt=CHECKPOINT_WIDTH)]
#: ``[slot in the 18-wide vector, slot in the 32-wide vector]``. Not strict, because YAML has lists
#: and no tuples.
SlotPair = Annotated[tuple[PaperSlot, CheckpointSlot], Field(strict=False)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class StateRow(_Model):
    """One measured dimension; missing keys come from its group."""

    joint: Annotated[str, Field(min_length=1)]
    slots: SlotPair
    unit: Unit | None = None
    scale: Scale = 1.0
    offset: float = 0.0


class StateGroup(_Model):
    """Dimensions that arrive on one topic."""

    topic: Topic
    message_type: Annotated[str, _known_in(STATE_SOURCES)] = JointState.message_type
    field: Literal["position", "velocity", "effort"] = "position"
    unit: Unit
    dimensions: Annotated[dict[Name, StateRow], Field(min_length=1)]


class LimitsPart(_Model):
    """Limits of a group or of a row; together they must state all but the jerk."""

    lower: float | None = None
    upper: float | None = None
    velocity: Positive | None = None
    acceleration: Positive | None = None
    jerk: Positive | None = None

    def over(self, other: LimitsPart) -> LimitsPart:
        """These limits, with the gaps filled from ``other``."""
        return LimitsPart(**{**other.model_dump(), **self.model_dump(exclude_none=True)})


class ActionRow(_Model):
    """One commanded dimension; missing keys come from its group.

    ``state`` defaults to the state dimension of the same name.
    """

    joint: Annotated[str, Field(min_length=1)]
    slots: SlotPair
    unit: Unit | None = None
    limits: LimitsPart = LimitsPart()
    scale: Scale = 1.0
    offset: float = 0.0
    home: float | None = None
    state: Name | None = None


class ActionGroup(_Model):
    """Dimensions that share a unit and limits."""

    unit: Unit
    limits: LimitsPart = LimitsPart()
    dimensions: Annotated[dict[Name, ActionRow], Field(min_length=1)]


class CameraRow(_Model):
    """One camera.

    ``width`` and ``height`` are the driver's native size [pixels]; frames of another
    size are accepted if they have the same aspect.
    """

    slot: Literal["base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"]
    topic: Topic
    message_type: Literal["sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"] = IMAGE
    encoding: str
    width: Count
    height: Count
    rate_hz: Positive


class ControllerRow(_Model):
    """One command topic; ``message_type`` and ``stop`` default to the kind's own."""

    kind: Annotated[str, _known_in(CONTROLLER_KINDS)]
    topic: Topic
    message_type: str | None = None
    dimensions: Annotated[list[str], Field(min_length=1)]
    stop: Literal["hold", "ramp_to_zero", "keep_last"] | None = None
    frame_id: str = ""
    options: dict[str, float] = {}


class RatesRow(_Model):
    """Rates [Hz] and steps; see :class:`pi0_ros.embodiment.types.Rates`."""

    chunk_hz: Positive
    control_hz: Positive
    joint_state_hz: Positive
    horizon: Count
    execution_steps: Count


class SyncRow(_Model):
    """Tolerances [s]; see :class:`pi0_ros.embodiment.types.SyncTolerances`."""

    camera_skew_s: Positive
    state_skew_s: Positive
    max_age_s: Positive
    observation_timeout_s: Positive


class LeaderRow(_Model):
    """One joint of a leader arm; its raw number is turned into the action's unit."""

    joint: Annotated[str, Field(min_length=1)]
    scale: Scale = 1.0
    offset: float = 0.0


class LeaderGroup(_Model):
    """A leader arm: the action dimensions that its joints on one topic drive."""

    topic: Topic
    dimensions: Annotated[dict[Name, LeaderRow], Field(min_length=1)]


class StartRow(_Model):
    """The gesture that starts leader-follower operation: these values all below a bound."""

    dimensions: Annotated[list[str], Field(min_length=1)]
    below: float


class TeleopRow(_Model):
    """Leader arms; see :class:`pi0_ros.embodiment.types.Teleoperation`."""

    leaders: Annotated[list[LeaderGroup], Field(min_length=1)]
    start: StartRow | None = None


class EmbodimentFile(_Model):
    """A whole file."""

    name: Name
    description: Annotated[str, Field(min_length=1)]
    rates: RatesRow
    sync: SyncRow
    cameras: Annotated[dict[Name, CameraRow], Field(min_length=1)]
    absent_slots: list[Literal["base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"]] = []
    state: Annotated[list[StateGroup], Field(min_length=1)]
    action: Annotated[list[ActionGroup], Field(min_length=1)]
    controllers: Annotated[dict[Name, ControllerRow], Field(min_length=1)]
    teleop: TeleopRow | None = None
