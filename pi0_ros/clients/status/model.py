"""The state of a running suite at one time, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from pi0_ros.nodes.executor_status import ExecutorView, LimitHits


class Level(IntEnum):
    """Severity; the first three levels are those of a DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    SILENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One DiagnosticStatus. Nodes of the suite are named ``namespace/node: task``."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The received ticks of the executor: their rate [Hz] and the time since the last one [s].

    ``tracking_error``: largest distance of a joint from its command, in the unit of the joint.
    ``rising``: counters of :class:`ExecutorView` that rose within the last seconds.
    """

    tick_hz: float | None
    expected_hz: float | None
    heard_s_ago: float
    tracking_error: float | None
    rising: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """One commanded dimension: its value and rate, and their limits if they are known.

    ``hits`` counts position, velocity, acceleration and jerk limits since activation. ``recent``
    says which counters rose within the last seconds. ``off`` is measured minus commanded and up
    to one second old.
    """

    name: str
    unit: str
    command: float
    velocity: float
    off: float | None
    lower: float | None
    upper: float | None
    velocity_limit: float | None
    hits: LimitHits
    recent: tuple[bool, bool, bool, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """One camera or joint-state topic as camera_sync reports it; an unknown value is None."""

    name: str
    level: Level
    rate_hz: float | None
    expected_hz: float | None
    age_ms: float | None
    skew_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The last report of the policy. ``values`` are the values of its diagnostic status."""

    checkpoint: str
    trained: bool
    prompt: str
    values: Mapping[str, str]

    def number(self, key: str) -> float | None:
        """One value as a number; None if it is missing or not a number."""
        return number(self.values, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The line of one node. ``heard_s_ago`` is None if the node has never reported."""

    name: str
    level: Level
    said: str
    heard_s_ago: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything the screen shows. ``heard``: whether any message of the suite has arrived.

    ``level`` is the worst level of all nodes; ``verdict`` is one line about the worst node.
    """

    heard: bool
    level: Level
    verdict: str
    domain_id: int
    namespace: str
    robot: str
    control: ExecutorView | None
    loop: Loop | None
    joints: tuple[Joint, ...]
    policy: Policy | None
    sets: Mapping[str, str]
    streams: tuple[StreamStatus, ...]
    nodes: tuple[Node, ...]

    def to_json(self) -> str:
        """One line of JSON. Levels are names, unknown values null; vectors are under ``joints``."""
        plain = _plain(self)
        for vector in ("action_names", "command", "command_velocity", "limit_hits"):
            if plain["control"]:
                del plain["control"][vector]
        return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def number(values: Mapping[str, str], key: str) -> float | None:
    """A diagnostic value as a finite number, or None."""
    try:
        found = float(values[key])
    except (KeyError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _plain(value: Any) -> Any:
    """Dataclasses to dicts, enumerations to their names, NaN to None."""
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
