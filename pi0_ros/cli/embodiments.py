"""``pi0 embodiments list|show|check``: show robot types without starting a node."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from pi0_ros.embodiment import (
    CAMERA_SLOTS,
    ActionDimension,
    Embodiment,
    EmbodimentError,
    StateDimension,
    available,
    load,
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``embodiments`` and its own verbs."""
    parser = subparsers.add_parser(
        "embodiments",
        description="Shows the embodiments of the suite, or those of your own files.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    verb = verbs.add_parser("list", help="one line per shipped embodiment")
    verb.set_defaults(func=run_list)

    verb = verbs.add_parser("show", help="everything about one embodiment")
    verb.add_argument("name", help="a shipped embodiment, or the path of a YAML file")
    verb.set_defaults(func=run_show)

    verb = verbs.add_parser("check", help="check files; prints every error and its fix")
    verb.add_argument("path", nargs="+", help="path of a YAML file, or a shipped embodiment")
    verb.set_defaults(func=run_check)


def run_list(_: argparse.Namespace) -> int:
    """Print one row per shipped embodiment. Exit code 1 if one of them is broken."""
    robots = []
    broken = 0
    for name in available():
        try:
            robots.append(load(name))
        except EmbodimentError as error:
            broken += 1
            _say(str(error), stream=sys.stderr)
    _say(overview(robots))
    return 1 if broken else 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print one embodiment in full. Raises :class:`EmbodimentError`."""
    _say(page(load(arguments.name)))
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Print ``OK`` or every error of each file. Exit code 1 if there is an error."""
    failed = False
    for path in arguments.path:
        try:
            robot = load(path)
        except EmbodimentError as error:
            failed = True
            count = len(error.problems)
            _say(f"{error}\n{path}: {count} error{'s' if count > 1 else ''}")
        else:
            _say(
                f"{path}: OK ({robot.name}: {len(robot.state)} state, {len(robot.action)} action, "
                f"{len(robot.cameras)} cameras)"
            )
    return 1 if failed else 0


def overview(robots: Sequence[Embodiment]) -> str:
    """Table with one line per embodiment."""
    rows = [("NAME", "STATE", "ACTION", "CAMERAS", "CHUNK", "STEPS", "CONTROLLERS")]
    for robot in robots:
        kinds = dict.fromkeys(c.kind for c in robot.controllers)
        rows.append(
            (
                robot.name,
                str(len(robot.state)),
                str(len(robot.action)),
                str(len(robot.cameras)),
                f"{robot.rates.chunk_hz:g} Hz",
                f"{robot.rates.execution_steps} of {robot.rates.horizon}",
                ", ".join(kinds),
            )
        )
    return _table(rows)


def page(robot: Embodiment) -> str:
    """The whole embodiment as text."""
    rates, sync = robot.rates, robot.sync
    return "\n".join(
        [
            f"{robot.name}  ({robot.path})",
            robot.description,
            "",
            f"STATE, {len(robot.state)} dimensions",
            _table([_STATE_HEAD, *(_state_row(d) for d in robot.state)], indent=2),
            "",
            f"ACTION, {len(robot.action)} dimensions",
            _table([_ACTION_HEAD, *(_action_row(d) for d in robot.action)], indent=2),
            "",
            "CAMERAS",
            _table(_camera_rows(robot), indent=2),
            "",
            "CONTROLLERS",
            _table(_controller_rows(robot), indent=2),
            "",
            "RATES",
            f"  {rates.chunk_hz:g} Hz chunks of {rates.horizon} steps, {rates.execution_steps} "
            f"executed per inference; {rates.control_hz:g} Hz commands; "
            f"{rates.joint_state_hz:g} Hz joint states",
            "",
            "SYNC TOLERANCES",
            f"  camera skew {sync.camera_skew_s:g} s, state skew {sync.state_skew_s:g} s, "
            f"age {sync.max_age_s:g} s; hold after {sync.observation_timeout_s:g} s without "
            "an observation",
        ]
    )


_STATE_HEAD = ("NAME", "UNIT", "SLOT 18", "SLOT 32", "SOURCE")
_ACTION_HEAD = (
    *("NAME", "UNIT", "SLOT 18", "SLOT 32", "LOWER", "UPPER"),
    *("VELOCITY", "ACCELERATION", "JERK", "HOME", "JOINT", "MEASURED BY"),
)


def _state_row(d: StateDimension) -> tuple[str, ...]:
    source = f"{d.topic}: {d.field} of {d.joint}{_conversion(d)}"
    return (d.name, d.unit, str(d.slots.paper), str(d.slots.checkpoint), source)


def _action_row(d: ActionDimension) -> tuple[str, ...]:
    limits = d.limits
    numbers = (limits.lower, limits.upper, limits.velocity, limits.acceleration)
    return (
        d.name,
        d.unit,
        str(d.slots.paper),
        str(d.slots.checkpoint),
        *(f"{number:g}" for number in numbers),
        f"{limits.jerk:g}" if math.isfinite(limits.jerk) else "-",
        f"{d.home:g}",
        f"{d.joint}{_conversion(d)}",
        d.state or "-",
    )


def _conversion(d: StateDimension | ActionDimension) -> str:
    if d.scale == 1.0 and d.offset == 0.0:
        return ""
    offset = f" {'-' if d.offset < 0 else '+'} {abs(d.offset):g}" if d.offset else ""
    return f" (x {d.scale:g}{offset})"


def _camera_rows(robot: Embodiment) -> list[tuple[str, ...]]:
    by_slot = {camera.slot: camera for camera in robot.cameras}
    rows: list[tuple[str, ...]] = [("SLOT", "NAME", "TOPIC", "MESSAGE", "ENCODING", "SIZE", "RATE")]
    for slot in CAMERA_SLOTS:
        if slot not in by_slot:
            rows.append((slot, "absent", "", "", "", "", ""))
            continue
        c = by_slot[slot]
        size = f"{c.width}x{c.height}"
        rows.append((slot, c.name, c.topic, c.message_type, c.encoding, size, f"{c.rate_hz:g} Hz"))
    return rows


def _controller_rows(robot: Embodiment) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("NAME", "KIND", "TOPIC", "MESSAGE", "STOP", "DIMENSIONS")]
    for c in robot.controllers:
        names = ", ".join(c.dimensions)
        rows.append((c.name, c.kind, c.topic, c.message_type, c.stop.value, names))
    return rows


def _table(rows: Sequence[Sequence[str]], indent: int = 0) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths, indent) for row in rows)


def _line(row: Iterable[str], widths: Iterable[int], indent: int) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return (" " * indent + "  ".join(cells)).rstrip()


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout)
