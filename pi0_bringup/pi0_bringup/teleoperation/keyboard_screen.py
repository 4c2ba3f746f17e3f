"""The terminal screen of ``keyboard_teleop``."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pi0_bringup.teleoperation.keys import RELEASE_KEYS
from pi0_bringup.teleoperation.layers import Layers
from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment

_BAR = 21


def screen(
    robot: Embodiment,
    layers: Layers,
    commanded: FloatArray | None,
    moving: Set[str],
    state: str,
) -> RenderableType:
    """On the left the keys of the layer, on the right the commanded pose (A,) within its limits."""
    driving = state == "driving"
    title = Text.assemble(
        (f" {robot.name} ", "bold"), (f" {state} ", "black on green" if driving else "reverse")
    )
    grid = Table.grid(padding=(0, 3))
    grid.add_row(_keys(layers, moving), _pose(robot, layers, commanded, moving))
    fixed = f"tab: next layer   {', '.join(RELEASE_KEYS)}: release   Ctrl-C: end"
    return Panel(Group(grid, Text(fixed, style="dim")), title=title, title_align="left")


def _keys(layers: Layers, moving: Set[str]) -> Table:
    table = Table(title=f"layer {layers.layer.name}", title_style="bold", box=None)
    table.add_column("key", justify="right")
    table.add_column("moves")
    for key, target in layers.layer.keys.items():
        name = layers.resolved(target)
        table.add_row(key, name, style="bold green" if name in moving else "")
    return table


def _pose(
    robot: Embodiment, layers: Layers, commanded: FloatArray | None, moving: Set[str]
) -> Table:
    table = Table(title="commanded", title_style="bold", box=None)
    table.add_column("dimension")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("within its limits")
    for k, dimension in enumerate(robot.action):
        value = float("nan") if commanded is None else float(commanded[k])
        limits = dimension.limits
        text = "" if np.isnan(value) else f"{value:.3f}"
        style = "bold" if dimension.name == layers.selected else ""
        if {dimension.name, f"-{dimension.name}"} & moving:
            style = "bold green"
        bar = _bar(value, limits.lower, limits.upper)
        table.add_row(dimension.name, text, dimension.unit, bar, style=style)
    return table


def _bar(value: float, lower: float, upper: float) -> str:
    if np.isnan(value):
        return "·" * _BAR
    at = round((value - lower) / (upper - lower) * (_BAR - 1))
    return "".join("█" if k == min(max(at, 0), _BAR - 1) else "·" for k in range(_BAR))
