"""Plot of commanded and measured values of every action dimension, with chunk boundaries."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from pi0_bringup.demo.recording import Recording
from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import ActionDimension, Embodiment

_COLUMNS = 4
_COMMANDED, _MEASURED, _PLANNED, _BOUNDARY = "#c44e52", "#2f6fb0", "#e0a030", "#bbbbbb"
# Every axis spans at least this much, so that noise does not look like motion.
_LEAST_SPAN = 0.02


def draw_joint_plot(recording: Recording, robot: Embodiment, title: str, path: Path) -> None:
    """Write the plot as PNG."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = math.ceil(len(robot.action) / _COLUMNS)
    figure, axes = plt.subplots(
        rows,
        _COLUMNS,
        figsize=(4.4 * _COLUMNS, 1.9 * rows + 1.0),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    commands = np.array(recording.ticks.command)
    handles: dict[str, Any] = {}
    for i, (axis, dimension) in enumerate(zip(axes.flat, robot.action, strict=False)):
        _draw_boundaries(axis, recording, handles)
        _draw_plans(axis, recording, i, handles)
        _draw_tracks(axis, dimension, recording, commands[:, i], handles)
        _finish(axis, dimension, recording.robot_s)
    for axis in axes.flat[len(robot.action) :]:
        axis.set_axis_off()
    for axis in axes.flat[max(0, len(robot.action) - _COLUMNS) : len(robot.action)]:
        axis.tick_params(labelbottom=True)
    figure.suptitle(f"{title}; horizontal: robot time [s]", fontsize=13)
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False
    )
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _draw_boundaries(axis: Any, recording: Recording, handles: dict[str, Any]) -> None:
    for time_s, _ in recording.boundaries:
        line = axis.axvline(time_s, color=_BOUNDARY, linewidth=0.6, zorder=0)
        handles.setdefault("chunk boundary", line)


def _draw_plans(axis: Any, recording: Recording, column: int, handles: dict[str, Any]) -> None:
    """The steps of each chunk that were due while the chunk was executed."""
    starts = recording.boundaries
    ends = [*(time_s for time_s, _ in starts[1:]), recording.robot_s]
    times, values = [], []
    for (start_s, sequence), end_s in zip(starts, ends, strict=True):
        plan = recording.plans.get(sequence)
        if plan is None:
            continue
        for step, row in enumerate(plan.actions):
            time_s = plan.time_s + step * plan.step_s
            if start_s <= time_s < end_s:
                times.append(time_s)
                values.append(row[column])
    (dots,) = axis.plot(times, values, ".", color=_PLANNED, markersize=2.5, zorder=1)
    handles.setdefault("chunk steps", dots)


def _draw_tracks(
    axis: Any,
    dimension: ActionDimension,
    recording: Recording,
    commanded: FloatArray,
    handles: dict[str, Any],
) -> None:
    (line,) = axis.plot(recording.ticks.time_s, commanded, color=_COMMANDED, linewidth=1.4)
    handles.setdefault("commanded", line)
    track = recording.measured.get(dimension.state or "", [])
    if track:
        times, values = zip(*track, strict=True)
        (line,) = axis.plot(times, values, color=_MEASURED, linewidth=1.0)
        handles.setdefault("measured", line)


def _finish(axis: Any, dimension: ActionDimension, robot_s: float) -> None:
    axis.set_title(dimension.name, fontsize=10)
    axis.set_ylabel(f"[{dimension.unit}]", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.set_xlim(0.0, max(robot_s, 1e-3))
    low, high = axis.get_ylim()
    if high - low < _LEAST_SPAN:
        middle = (low + high) / 2.0
        axis.set_ylim(middle - _LEAST_SPAN / 2.0, middle + _LEAST_SPAN / 2.0)
    axis.spines[["top", "right"]].set_visible(False)
