"""The readable part of an embodiment file, for checks that compare its places.

A row that the schema refuses is kept by name with ``row=None``, so that one bad value neither
hides the other errors of the file nor causes new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from pi0_ros.embodiment.errors import KeyPath, format_path
from pi0_ros.embodiment.schema import (
    ActionRow,
    CameraRow,
    ControllerRow,
    LeaderRow,
    LimitsPart,
    StateRow,
)

Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[Row]):
    """One named row: where it is, its group's own keys, and itself if valid."""

    path: KeyPath
    name: str
    group: dict[str, Any]
    row: Row | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialFile:
    """The rows of a file that could be read.

    ``rates`` is unchecked; ``absent_slots`` maps a slot to its path, ``start`` the dimensions
    of the start gesture.
    """

    state: tuple[Entry[StateRow], ...]
    action: tuple[Entry[ActionRow], ...]
    cameras: tuple[Entry[CameraRow], ...]
    controllers: tuple[Entry[ControllerRow], ...]
    rates: dict[str, Any]
    absent_slots: dict[str, KeyPath]
    leaders: tuple[Entry[LeaderRow], ...]
    start: dict[str, KeyPath]

    @classmethod
    def of(cls, raw: dict[str, Any]) -> PartialFile:
        """Read the valid rows of the file's parsed YAML."""
        absent = raw.get("absent_slots")
        rates = raw.get("rates")
        teleop = _mapping(raw.get("teleop"))
        start = _mapping(teleop.get("start")).get("dimensions")
        return cls(
            state=tuple(_grouped(raw, "state", StateRow)),
            action=tuple(_grouped(raw, "action", ActionRow)),
            cameras=tuple(_named(raw.get("cameras"), ("cameras",), {}, CameraRow)),
            controllers=tuple(_named(raw.get("controllers"), ("controllers",), {}, ControllerRow)),
            rates=_mapping(rates),
            absent_slots={
                slot: ("absent_slots", i)
                for i, slot in enumerate(absent if isinstance(absent, list) else [])
                if isinstance(slot, str)
            },
            leaders=tuple(_grouped(teleop, "leaders", LeaderRow, ("teleop",))),
            start={
                name: ("teleop", "start", "dimensions", i)
                for i, name in enumerate(start if isinstance(start, list) else [])
                if isinstance(name, str)
            },
        )


def merged_limits(entry: Entry[ActionRow]) -> LimitsPart | None:
    """Limits of the row, gaps filled from its group; None where either is invalid."""
    group = _valid(LimitsPart, entry.group.get("limits", {}))
    if entry.row is None or group is None:
        return None
    return entry.row.limits.over(group)


def repeats(keyed: Iterable[tuple[object, KeyPath]]) -> Iterator[tuple[object, KeyPath, str]]:
    """Yield each repetition of a key with its path, and the place where the key came first."""
    first: dict[object, KeyPath] = {}
    for key, path in keyed:
        if key in first:
            yield key, path, format_path(first[key])
        else:
            first[key] = path


def _mapping(raw: object) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _grouped(
    raw: dict[str, Any], key: str, model: type[Row], above: KeyPath = ()
) -> Iterator[Entry[Row]]:
    groups = raw.get(key)
    for i, group in enumerate(groups if isinstance(groups, list) else []):
        if isinstance(group, dict):
            path = (*above, key, i, "dimensions")
            yield from _named(group.get("dimensions"), path, group, model)


def _named(
    rows: object, path: KeyPath, group: dict[str, Any], model: type[Row]
) -> Iterator[Entry[Row]]:
    for name, row in rows.items() if isinstance(rows, dict) else ():
        yield Entry(path=(*path, str(name)), name=str(name), group=group, row=_valid(model, row))


def _valid(model: type[Row], raw: object) -> Row | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
