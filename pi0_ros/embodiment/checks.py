"""Checks that need two places of an embodiment file: dimensions, cameras, rates, leaders.

Those of controllers are in :mod:`pi0_ros.embodiment.controller_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from pi0_ros.camera_encodings import CAMERA_ENCODINGS
from pi0_ros.embodiment.controller_checks import controller_problems, velocities
from pi0_ros.embodiment.errors import Problem
from pi0_ros.embodiment.partial_file import Entry, PartialFile, merged_limits, repeats
from pi0_ros.embodiment.schema import ActionRow, StateRow
from pi0_ros.embodiment.types import CAMERA_SLOTS
from pi0_ros.extensions import did_you_mean
from pi0_ros.state_sources.joint_state import JointState

_LAYOUTS = ("paper", "checkpoint")
_LIMITS = ("lower", "upper", "velocity", "acceleration")


def cross_check(file: PartialFile) -> list[Problem]:
    """Every contradiction between two places of a file."""
    return list(
        chain(
            _names(file.state),
            _names(file.action),
            _slots(file.state),
            _slots(file.action),
            _sources(file.state),
            _one_source_per_topic(file.state),
            _limits(file),
            _homes(file),
            _measured(file),
            controller_problems(file),
            _cameras(file),
            _camera_slots(file),
            _rates(file),
            _leaders(file),
        )
    )


def _names(
    entries: tuple[Entry[StateRow], ...] | tuple[Entry[ActionRow], ...],
) -> Iterator[Problem]:
    for name, path, where in repeats((e.name, e.path) for e in entries):
        yield Problem(path, f"{name!r} is already a dimension at {where}; rename one of them")


def _slots(
    entries: tuple[Entry[StateRow], ...] | tuple[Entry[ActionRow], ...],
) -> Iterator[Problem]:
    for i, layout in enumerate(_LAYOUTS):
        taken = ((e.row.slots[i], (*e.path, "slots", i)) for e in entries if e.row is not None)
        for slot, path, where in repeats(taken):
            yield Problem(
                path, f"{layout} slot {slot} is taken by {where}; give each dimension its own slot"
            )


def _sources(entries: tuple[Entry[StateRow], ...]) -> Iterator[Problem]:
    keyed = (
        (
            f"{e.group.get('field', 'position')} of joint {e.row.joint!r} "
            f"on {e.group.get('topic')!r}",
            (*e.path, "joint"),
        )
        for e in entries
        if e.row is not None
    )
    for source, path, where in repeats(keyed):
        yield Problem(
            path,
            f"{source} is already read by {where}; "
            "each dimension needs its own joint, topic or field",
        )


def _one_source_per_topic(entries: tuple[Entry[StateRow], ...]) -> Iterator[Problem]:
    """A topic has one message type. Each group is looked at once, by its first dimension."""
    types: dict[object, object] = {}
    groups = {entry.path[:-2]: entry.group for entry in reversed(entries)}
    for path, group in reversed(groups.items()):
        topic, found = group.get("topic"), group.get("message_type", JointState.message_type)
        first = types.setdefault(topic, found)
        if first != found:
            text = f"{found!r}, but {topic!r} carries {first!r} above; use one of them"
            yield Problem((*path, "message_type"), text)


def _limits(file: PartialFile) -> Iterator[Problem]:
    for entry in file.action:
        limits = merged_limits(entry)
        if limits is None:
            continue
        missing = [key for key in _LIMITS if getattr(limits, key) is None]
        if missing:
            yield Problem(
                (*entry.path, "limits"),
                f"{' and '.join(missing)} missing; state it here or in the group's limits",
            )
        lower, upper = limits.lower, limits.upper
        if lower is not None and upper is not None and lower >= upper:
            yield Problem(
                (*entry.path, "limits"),
                f"lower {lower:g} is not below upper {upper:g}; swap or widen them",
            )


def _homes(file: PartialFile) -> Iterator[Problem]:
    velocity = velocities(file)
    for entry in file.action:
        if entry.row is None:
            continue
        path, home = (*entry.path, "home"), entry.row.home
        if entry.name in velocity:
            if home:
                yield Problem(path, f"{home:g} for a velocity; a base is at home at 0, remove it")
            continue
        if home is None:
            yield Problem(path, "missing; state the value at the home pose")
            continue
        limits = merged_limits(entry)
        if limits is None or limits.lower is None or limits.upper is None:
            continue
        if limits.lower < limits.upper and not limits.lower <= home <= limits.upper:
            yield Problem(
                path,
                f"{home:g} is outside the limits {limits.lower:g}..{limits.upper:g}; "
                "move it inside",
            )


def _measured(file: PartialFile) -> Iterator[Problem]:
    known = [e.name for e in file.state]
    velocity = velocities(file)
    for entry in file.action:
        if entry.row is None:
            continue
        path, reference = (*entry.path, "state"), entry.row.state
        if entry.name in velocity:
            if reference is not None:
                yield Problem(path, f"{reference!r} for a velocity; nothing measures it, remove it")
        elif reference is not None and reference not in known:
            yield Problem(
                path, f"{reference!r} is not a state dimension{did_you_mean(reference, known)}"
            )
        elif reference is None and entry.name not in known:
            yield Problem(
                path,
                f"missing, and no state dimension is named {entry.name!r}; "
                "name the one that measures this action",
            )


def _cameras(file: PartialFile) -> Iterator[Problem]:
    topics = ((c.row.topic, (*c.path, "topic")) for c in file.cameras if c.row)
    for topic, path, where in repeats(topics):
        yield Problem(path, f"{topic!r} is already read at {where}; each camera has its own topic")
    for camera in file.cameras:
        if camera.row is None:
            continue
        known = [
            encoding.name
            for encoding in CAMERA_ENCODINGS.entries()
            if encoding.message_type == camera.row.message_type
        ]
        if camera.row.encoding not in known:
            yield Problem(
                (*camera.path, "encoding"),
                f"{camera.row.encoding!r} is not an encoding of {camera.row.message_type} that "
                f"can be read; use {', '.join(known)}{did_you_mean(camera.row.encoding, known)}",
            )


def _camera_slots(file: PartialFile) -> Iterator[Problem]:
    filled = [(c.row.slot, (*c.path, "slot")) for c in file.cameras if c.row]
    for slot, path, where in repeats(filled):
        yield Problem(path, f"{slot!r} is already filled by {where}; one camera per slot")
    taken = {slot for slot, _ in filled}
    for slot, path in file.absent_slots.items():
        if slot in taken:
            yield Problem(path, f"{slot!r} has a camera; remove it from absent_slots")
    if any(c.row is None for c in file.cameras):
        return
    for slot in CAMERA_SLOTS:
        if slot not in taken and slot not in file.absent_slots:
            yield Problem(
                ("cameras",), f"slot {slot!r} has no camera; add one or list it in absent_slots"
            )


def _rates(file: PartialFile) -> Iterator[Problem]:
    horizon, steps = file.rates.get("horizon"), file.rates.get("execution_steps")
    if isinstance(horizon, int) and isinstance(steps, int) and steps > horizon >= 1:
        yield Problem(
            ("rates", "execution_steps"),
            f"{steps} exceeds the horizon of {horizon} steps; use 1..{horizon}",
        )


def _leaders(file: PartialFile) -> Iterator[Problem]:
    known = [e.name for e in file.action]
    velocity = velocities(file)
    for name, path, where in repeats((e.name, e.path) for e in file.leaders):
        yield Problem(path, f"{name!r} is already led at {where}; remove one")
    for entry in file.leaders:
        if entry.name not in known:
            text = f"{entry.name!r} is not an action dimension{did_you_mean(entry.name, known)}"
            yield Problem(entry.path, text)
        elif entry.name in velocity:
            yield Problem(entry.path, f"{entry.name!r} is a velocity; a leader arm has none")
    led = [e.name for e in file.leaders]
    for name, path in file.start.items():
        if name not in led:
            yield Problem(path, f"{name!r} is led by no leader arm{did_you_mean(name, led)}")
