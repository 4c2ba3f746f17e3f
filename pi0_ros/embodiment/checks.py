"""Checks that need two places of an embodiment file to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import chain

from pi0_ros.camera_encodings import CAMERA_ENCODINGS
from pi0_ros.controllers import CONTROLLER_KINDS, ControllerKind, DimensionFacts
from pi0_ros.embodiment.errors import KeyPath, Problem, format_path
from pi0_ros.embodiment.schema import (
    ActionRow,
    ControllerRow,
    StateRow,
)
from pi0_ros.embodiment.survey import Entry, Survey, merged_limits
from pi0_ros.embodiment.types import CAMERA_SLOTS

_LAYOUTS = ("paper", "checkpoint")
_LIMITS = ("lower", "upper", "velocity", "acceleration")


def cross_check(survey: Survey) -> list[Problem]:
    """Return everything the places of a file contradict each other in."""
    return list(
        chain(
            _names(survey.state),
            _names(survey.action),
            _slots(survey.state),
            _slots(survey.action),
            _sources(survey.state),
            _one_source_per_topic(survey.state),
            _limits(survey),
            _homes(survey),
            _measured(survey),
            _coverage(survey),
            _controllers(survey),
            _kinds(survey),
            _cameras(survey),
            _camera_slots(survey),
            _rates(survey),
            _leaders(survey),
        )
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'elbow'?`` when something known is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _kind_of_dimension(survey: Survey) -> dict[str, ControllerKind]:
    """The controller kind that carries each action dimension."""
    return {
        name: CONTROLLER_KINDS.get(c.row.kind)
        for c in survey.controllers
        if c.row is not None
        for name in c.row.dimensions
    }


def _velocities(survey: Survey) -> frozenset[str]:
    """Names of the action dimensions that are velocities by their controller's kind."""
    return frozenset(n for n, kind in _kind_of_dimension(survey).items() if kind.is_velocity)


def _repeats(keyed: Iterable[tuple[object, KeyPath]]) -> Iterator[tuple[object, KeyPath, str]]:
    """Yield every later holder of a key, with the place of the first."""
    first: dict[object, KeyPath] = {}
    for key, path in keyed:
        if key in first:
            yield key, path, format_path(first[key])
        else:
            first[key] = path


def _names(
    entries: tuple[Entry[StateRow], ...] | tuple[Entry[ActionRow], ...],
) -> Iterator[Problem]:
    for name, path, where in _repeats((e.name, e.path) for e in entries):
        yield Problem(path, f"{name!r} is already a dimension at {where}; rename one of them")


def _slots(
    entries: tuple[Entry[StateRow], ...] | tuple[Entry[ActionRow], ...],
) -> Iterator[Problem]:
    for i, layout in enumerate(_LAYOUTS):
        taken = ((e.row.slots[i], (*e.path, "slots", i)) for e in entries if e.row is not None)
        for slot, path, where in _repeats(taken):
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
    for source, path, where in _repeats(keyed):
        yield Problem(
            path,
            f"{source} is already read by {where}; "
            "each dimension needs its own joint, topic or field",
        )


def _one_source_per_topic(entries: tuple[Entry[StateRow], ...]) -> Iterator[Problem]:
    """A topic has one message type."""
    types: dict[object, object] = {}
    for entry in entries:
        topic, found = entry.group.get("topic"), entry.group.get("message_type")
        if types.setdefault(topic, found) != found:
            path = (*entry.path[:-2], "message_type")
            yield Problem(
                path, f"{found!r} on {topic!r}, which has {types[topic]!r} above; use one of them"
            )
            types[topic] = found


def _limits(survey: Survey) -> Iterator[Problem]:
    for entry in survey.action:
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


def _homes(survey: Survey) -> Iterator[Problem]:
    velocities = _velocities(survey)
    for entry in survey.action:
        if entry.row is None:
            continue
        path, home = (*entry.path, "home"), entry.row.home
        if entry.name in velocities:
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


def _measured(survey: Survey) -> Iterator[Problem]:
    known = [e.name for e in survey.state]
    velocities = _velocities(survey)
    for entry in survey.action:
        if entry.row is None:
            continue
        path, reference = (*entry.path, "state"), entry.row.state
        if entry.name in velocities:
            if reference is not None:
                yield Problem(path, f"{reference!r} for a velocity; nothing measures it, remove it")
        elif reference is not None and reference not in known:
            yield Problem(
                path, f"{reference!r} is not a state dimension{nearest(reference, known)}"
            )
        elif reference is None and entry.name not in known:
            yield Problem(
                path,
                f"missing, and no state dimension is named {entry.name!r}; "
                "name the one that measures this action",
            )


def _coverage(survey: Survey) -> Iterator[Problem]:
    known = [e.name for e in survey.action]
    carriers: dict[str, list[str]] = {name: [] for name in known}
    for controller in survey.controllers:
        for i, name in enumerate(controller.row.dimensions if controller.row else []):
            if name in carriers:
                carriers[name].append(controller.name)
            else:
                yield Problem(
                    (*controller.path, "dimensions", i),
                    f"{name!r} is not an action dimension{nearest(name, known)}",
                )
    unreadable = any(c.row is None for c in survey.controllers)
    for entry in survey.action:
        names = carriers[entry.name]
        if not names and not unreadable:
            yield Problem(entry.path, "carried by no controller; list it in one of controllers")
        elif len(names) > 1:
            yield Problem(
                entry.path, f"carried by {' and '.join(names)}; list it in one controller only"
            )


def _controllers(survey: Survey) -> Iterator[Problem]:
    rows = {e.name: e.row for e in survey.action if e.row is not None}
    topics = ((c.row.topic, (*c.path, "topic")) for c in survey.controllers if c.row)
    for topic, path, where in _repeats(topics):
        yield Problem(path, f"{topic!r} is already commanded at {where}; use one controller")
    for controller in survey.controllers:
        if controller.row is None:
            continue
        yield from _controller_row(controller.path, controller.row)
        named = (
            (rows[name].joint, (*controller.path, "dimensions", i))
            for i, name in enumerate(controller.row.dimensions)
            if name in rows
        )
        for joint, path, where in _repeats(named):
            yield Problem(path, f"joint {joint!r} is already commanded at {where}; remove one")


def _controller_row(path: KeyPath, row: ControllerRow) -> Iterator[Problem]:
    kind = CONTROLLER_KINDS.get(row.kind)
    expected = kind.message_type
    if row.message_type not in (None, expected):
        yield Problem(
            (*path, "message_type"),
            f"{row.message_type!r} is not what a {row.kind} controller listens for; "
            f"use {expected!r} or leave it out",
        )
    allowed = [stop.value for stop in kind.stops]
    if row.stop is not None and row.stop not in allowed:
        yield Problem(
            (*path, "stop"),
            f"{row.stop!r} makes no sense for a {row.kind} controller; use {' or '.join(allowed)}",
        )
    for name in row.options:
        if name not in kind.options:
            known = ", ".join(kind.options) or "none"
            yield Problem(
                (*path, "options", name),
                f"{name!r} is not an option of a {row.kind} controller; it has {known}"
                f"{nearest(name, kind.options)}",
            )


def _kinds(survey: Survey) -> Iterator[Problem]:
    """What the kind of its controller says about each action dimension."""
    kinds = _kind_of_dimension(survey)
    for entry in survey.action:
        if entry.row is None:
            continue
        kind = kinds.get(entry.name)
        unit = entry.row.unit or entry.group.get("unit")
        if unit in ("m/s", "rad/s") and not (kind is not None and kind.is_velocity):
            known = " or ".join(k.name for k in CONTROLLER_KINDS.entries() if k.is_velocity)
            yield Problem(
                entry.path, f"a velocity [{unit}] needs a controller of kind {known} to carry it"
            )
        if kind is None:
            continue
        limits = merged_limits(entry)
        facts = DimensionFacts(
            joint=entry.row.joint,
            unit=unit,
            lower=None if limits is None else limits.lower,
            upper=None if limits is None else limits.upper,
        )
        for key, text in kind.problems(facts):
            yield Problem((*entry.path, key), text)


def _cameras(survey: Survey) -> Iterator[Problem]:
    topics = ((c.row.topic, (*c.path, "topic")) for c in survey.cameras if c.row)
    for topic, path, where in _repeats(topics):
        yield Problem(path, f"{topic!r} is already read at {where}; each camera has its own topic")
    for camera in survey.cameras:
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
                f"can be read; use {', '.join(known)}{nearest(camera.row.encoding, known)}",
            )


def _camera_slots(survey: Survey) -> Iterator[Problem]:
    filled = [(c.row.slot, (*c.path, "slot")) for c in survey.cameras if c.row]
    for slot, path, where in _repeats(filled):
        yield Problem(path, f"{slot!r} is already filled by {where}; one camera per slot")
    taken = {slot for slot, _ in filled}
    for slot, path in survey.absent_slots.items():
        if slot in taken:
            yield Problem(path, f"{slot!r} has a camera; remove it from absent_slots")
    if any(c.row is None for c in survey.cameras):
        return
    for slot in CAMERA_SLOTS:
        if slot not in taken and slot not in survey.absent_slots:
            yield Problem(
                ("cameras",), f"slot {slot!r} has no camera; add one or list it in absent_slots"
            )


def _rates(survey: Survey) -> Iterator[Problem]:
    horizon, steps = survey.rates.get("horizon"), survey.rates.get("execution_steps")
    if isinstance(horizon, int) and isinstance(steps, int) and steps > horizon >= 1:
        yield Problem(
            ("rates", "execution_steps"),
            f"{steps} exceeds the horizon of {horizon} steps; use 1..{horizon}",
        )


def _leaders(survey: Survey) -> Iterator[Problem]:
    known = [e.name for e in survey.action]
    velocities = _velocities(survey)
    for name, path, where in _repeats((e.name, e.path) for e in survey.leaders):
        yield Problem(path, f"{name!r} is already led at {where}; remove one")
    for entry in survey.leaders:
        if entry.name not in known:
            text = f"{entry.name!r} is not an action dimension{nearest(entry.name, known)}"
            yield Problem(entry.path, text)
        elif entry.name in velocities:
            yield Problem(entry.path, f"{entry.name!r} is a velocity; a leader arm has none")
    led = [e.name for e in survey.leaders]
    for name, path in survey.start.items():
        if name not in led:
            yield Problem(path, f"{name!r} is led by no leader arm{nearest(name, led)}")
