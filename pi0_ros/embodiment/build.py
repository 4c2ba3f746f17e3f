"""From a checked file to the frozen :class:`Embodiment`."""

from __future__ import annotations

from pathlib import Path

from pi0_ros.controllers import CONTROLLER_KINDS, StopBehaviour
from pi0_ros.embodiment import schema
from pi0_ros.embodiment.types import (
    CAMERA_SLOTS,
    ActionDimension,
    Camera,
    Controller,
    Embodiment,
    LeaderDimension,
    Limits,
    Rates,
    Slots,
    StateDimension,
    SyncTolerances,
    Teleoperation,
)


def build(file: schema.EmbodimentFile, path: Path) -> Embodiment:
    """Assemble the dataclasses. The file has passed all checks; nothing is checked here."""
    velocities = {
        name
        for controller in file.controllers.values()
        if CONTROLLER_KINDS.get(controller.kind).is_velocity
        for name in controller.dimensions
    }
    return Embodiment(
        name=file.name,
        description=" ".join(file.description.split()),
        path=path,
        state=tuple(
            _state(name, row, group)
            for group in file.state
            for name, row in group.dimensions.items()
        ),
        action=tuple(
            _action(name, row, group, name in velocities)
            for group in file.action
            for name, row in group.dimensions.items()
        ),
        cameras=tuple(
            Camera(name=name, **row.model_dump())
            for name, row in sorted(
                file.cameras.items(), key=lambda item: CAMERA_SLOTS.index(item[1].slot)
            )
        ),
        absent_slots=tuple(slot for slot in CAMERA_SLOTS if slot in file.absent_slots),
        controllers=tuple(_controller(name, row) for name, row in file.controllers.items()),
        rates=Rates(**file.rates.model_dump()),
        sync=SyncTolerances(**file.sync.model_dump()),
        teleop=None if file.teleop is None else _teleop(file.teleop),
    )


def _state(name: str, row: schema.StateRow, group: schema.StateGroup) -> StateDimension:
    return StateDimension(
        name=name,
        unit=row.unit or group.unit,
        slots=Slots(paper=row.slots[0], checkpoint=row.slots[1]),
        topic=group.topic,
        message_type=group.message_type,
        joint=row.joint,
        field=group.field,
        scale=row.scale,
        offset=row.offset,
    )


def _action(
    name: str, row: schema.ActionRow, group: schema.ActionGroup, is_velocity: bool
) -> ActionDimension:
    limits = row.limits.over(group.limits).model_dump(exclude_none=True)
    return ActionDimension(
        name=name,
        unit=row.unit or group.unit,
        slots=Slots(paper=row.slots[0], checkpoint=row.slots[1]),
        limits=Limits(**limits),
        joint=row.joint,
        scale=row.scale,
        offset=row.offset,
        home=row.home or 0.0,
        state=None if is_velocity else row.state or name,
    )


def _controller(name: str, row: schema.ControllerRow) -> Controller:
    kind = CONTROLLER_KINDS.get(row.kind)
    return Controller(
        name=name,
        kind=row.kind,
        topic=row.topic,
        message_type=kind.message_type,
        dimensions=tuple(row.dimensions),
        stop=kind.stops[0] if row.stop is None else StopBehaviour(row.stop),
        frame_id=row.frame_id,
        options={**kind.options, **row.options},
    )


def _teleop(row: schema.TeleopRow) -> Teleoperation:
    return Teleoperation(
        leaders=tuple(
            LeaderDimension(
                action=name,
                topic=group.topic,
                joint=leader.joint,
                scale=leader.scale,
                offset=leader.offset,
            )
            for group in row.leaders
            for name, leader in group.dimensions.items()
        ),
        start_dimensions=() if row.start is None else tuple(row.start.dimensions),
        start_below=0.0 if row.start is None else row.start.below,
    )
