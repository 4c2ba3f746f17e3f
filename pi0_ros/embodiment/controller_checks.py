"""Checks between the controllers of an embodiment file and the dimensions they carry."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from pi0_ros.controllers import CONTROLLER_KINDS, ControllerKind, DimensionFacts
from pi0_ros.embodiment.errors import KeyPath, Problem
from pi0_ros.embodiment.partial_file import PartialFile, merged_limits, repeats
from pi0_ros.embodiment.schema import ControllerRow
from pi0_ros.extensions import did_you_mean


def controller_problems(file: PartialFile) -> Iterator[Problem]:
    """Everything that is wrong with the controllers and with what they carry."""
    return chain(_coverage(file), _controllers(file), _kinds(file))


def _kind_of_dimension(file: PartialFile) -> dict[str, ControllerKind]:
    """The controller kind that carries each action dimension."""
    return {
        name: CONTROLLER_KINDS.get(c.row.kind)
        for c in file.controllers
        if c.row is not None
        for name in c.row.dimensions
    }


def velocities(file: PartialFile) -> frozenset[str]:
    """Names of the action dimensions that are velocities by their controller's kind."""
    return frozenset(n for n, kind in _kind_of_dimension(file).items() if kind.is_velocity)


def _coverage(file: PartialFile) -> Iterator[Problem]:
    known = [e.name for e in file.action]
    carriers: dict[str, list[str]] = {name: [] for name in known}
    for controller in file.controllers:
        for i, name in enumerate(controller.row.dimensions if controller.row else []):
            if name in carriers:
                carriers[name].append(controller.name)
            else:
                yield Problem(
                    (*controller.path, "dimensions", i),
                    f"{name!r} is not an action dimension{did_you_mean(name, known)}",
                )
    unreadable = any(c.row is None for c in file.controllers)
    for entry in file.action:
        names = carriers[entry.name]
        if not names and not unreadable:
            yield Problem(entry.path, "carried by no controller; list it in one of controllers")
        elif len(names) > 1:
            yield Problem(
                entry.path, f"carried by {' and '.join(names)}; list it in one controller only"
            )


def _controllers(file: PartialFile) -> Iterator[Problem]:
    rows = {e.name: e.row for e in file.action if e.row is not None}
    topics = ((c.row.topic, (*c.path, "topic")) for c in file.controllers if c.row)
    for topic, path, where in repeats(topics):
        yield Problem(path, f"{topic!r} is already commanded at {where}; use one controller")
    for controller in file.controllers:
        if controller.row is None:
            continue
        yield from _controller_row(controller.path, controller.row)
        named = (
            (rows[name].joint, (*controller.path, "dimensions", i))
            for i, name in enumerate(controller.row.dimensions)
            if name in rows
        )
        for joint, path, where in repeats(named):
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
                f"{did_you_mean(name, kind.options)}",
            )


def _kinds(file: PartialFile) -> Iterator[Problem]:
    """What the kind of its controller says about each action dimension."""
    kinds = _kind_of_dimension(file)
    for entry in file.action:
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
