"""Maps another project's checkpoint to one robot: statistics, names, cameras, delta mask."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pi0_ros.checkpoint.contents import CheckpointContents, StoredStatistics
from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.checkpoint.manifest import Normalisation, Statistics
from pi0_ros.embodiment.packing import action_slots, state_slots
from pi0_ros.embodiment.types import CAMERA_SLOTS, Embodiment

#: Word in the names of actions that are never predicted relative to the state.
GRIPPER = "gripper"


def normalisation(stored: StoredStatistics, embodiment: Embodiment, width: int) -> Normalisation:
    """Statistics at robot width, in embodiment order.

    Lists as wide as the robot are taken as they are; lists as wide as the model
    (``width``) are read at the robot's slots. Raises :class:`CheckpointError` for any
    other width: those belong to another robot.
    """
    return Normalisation(
        kind=stored.kind,
        eps=stored.eps,
        inverse_eps=stored.inverse_eps,
        state=_at_robot_width(
            stored.state,
            stored,
            "state",
            state_slots(embodiment, width).tolist(),
            width,
            embodiment,
        ),
        actions=_at_robot_width(
            stored.actions,
            stored,
            "actions",
            action_slots(embodiment, width).tolist(),
            width,
            embodiment,
        ),
    )


def name_problems(
    contents: CheckpointContents, embodiment: Embodiment, *, same_order: bool
) -> list[str]:
    """How the checkpoint's action names differ from the robot's.

    Case and a trailing ``.pos`` are ignored. ``same_order`` accepts other names for the
    same dimensions, but not another number of them.
    """
    theirs, ours = contents.action_names, embodiment.action_names
    if not theirs:
        return []
    if len(theirs) != len(ours):
        return [
            f"the checkpoint has {len(theirs)} action dimensions and {embodiment.name} "
            f"{len(ours)}: use a checkpoint for {embodiment.name}"
        ]
    if same_order:
        return []
    return [
        f"the checkpoint calls action dimension {index} {a!r} and {embodiment.name} {b!r}: use a "
        "checkpoint for this robot, or give --same-order if the dimensions are the same"
        for index, (a, b) in enumerate(zip(theirs, ours, strict=True))
        if _plain(a) != _plain(b)
    ][:1]


def camera_problems(contents: CheckpointContents, embodiment: Embodiment) -> list[str]:
    """Cameras that only the robot or only the checkpoint has."""
    present = _present(embodiment)
    if not contents.cameras:
        return []
    if set(contents.cameras) <= set(CAMERA_SLOTS):
        # Base checkpoints list every slot; a robot may fill fewer.
        extra = [slot for slot in present if slot not in contents.cameras]
        if extra:
            return [
                f"{embodiment.name} has camera {', '.join(extra)}, which the checkpoint never saw "
                f"(it saw {', '.join(contents.cameras)}): use another checkpoint"
            ]
    elif len(contents.cameras) != len(present):
        return [
            f"the checkpoint saw {len(contents.cameras)} cameras ({', '.join(contents.cameras)}) "
            f"and {embodiment.name} has {len(present)}: use a checkpoint for {embodiment.name}"
        ]
    return []


def delta_mask(
    contents: CheckpointContents, embodiment: Embodiment, given: bool | None
) -> tuple[bool, ...]:
    """Which actions are relative to the state: as ``given``, else as the files say.

    ``given`` true means all but grippers and velocities. Raises :class:`CheckpointError`
    where a relative action has no state to be relative to.
    """
    if given is not None:
        return tuple(
            given and a.state is not None and GRIPPER not in a.name for a in embodiment.action
        )
    if not contents.relative_actions:
        return (False,) * len(embodiment.action)
    names = contents.action_names or embodiment.action_names
    mask = tuple(not any(word in name for word in contents.absolute_words) for name in names)
    for action, relative in zip(embodiment.action, mask, strict=True):
        if relative and action.state is None:
            raise CheckpointError(
                f"{contents.root}: action {action.name} is relative to the state and "
                f"{embodiment.name} measures none of it: give --delta to leave such actions "
                "absolute, or --no-delta"
            )
    return mask


def used_cameras(contents: CheckpointContents, embodiment: Embodiment) -> tuple[str, ...]:
    """The robot's slots in the order of the network's training, since tokens have positions.

    Cameras whose names are not the slots' are taken in slot order.
    """
    present = _present(embodiment)
    return tuple(sorted(present, key=prefix_order(contents.cameras).index))


def prefix_order(cameras: Sequence[str]) -> tuple[str, ...]:
    """All slots: those in ``cameras`` in that order, the others at their usual place."""
    if not set(cameras) <= set(CAMERA_SLOTS):
        return CAMERA_SLOTS
    named = iter(cameras)
    return tuple(next(named) if slot in cameras else slot for slot in CAMERA_SLOTS)


def _present(embodiment: Embodiment) -> list[str]:
    return [s for s, has in zip(CAMERA_SLOTS, embodiment.slot_mask, strict=True) if has]


def _at_robot_width(
    statistics: Statistics | None,
    stored: StoredStatistics,
    what: str,
    slots: list[int],
    width: int,
    embodiment: Embodiment,
) -> Statistics:
    if statistics is None:  # not normalised
        n = len(slots)
        return Statistics(mean=(0.0,) * n, std=(1.0,) * n, q01=(-1.0,) * n, q99=(1.0,) * n)

    def cut(key: str, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if values is None or len(values) == len(slots):
            return values
        if len(values) == width:
            return tuple(values[slot] for slot in slots)
        raise CheckpointError(
            f"{stored.source}: {what}.{key} has {len(values)} values, {embodiment.name} has "
            f"{len(slots)} {what} dimensions and the model is {width} wide: these statistics "
            "belong to another robot; choose with --asset or give --stats"
        )

    mean, std = cut("mean", statistics.mean), cut("std", statistics.std)
    if mean is None or std is None:
        raise CheckpointError(f"{stored.source}: {what}.mean or {what}.std is missing")
    q01, q99 = cut("q01", statistics.q01), cut("q99", statistics.q99)
    return Statistics(mean=mean, std=std, q01=q01, q99=q99)


def _plain(name: str) -> str:
    return re.sub(r"[.](pos|position)$", "", name.lower())
