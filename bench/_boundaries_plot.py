"""The plot of bench/boundaries.py."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from _closed_loop import Run
from _detour import Detour
from PIL import Image

from pi0_ros.embodiment import Embodiment

COLOURS = {
    "sequential": "tab:red",
    "temporal_ensemble": "tab:orange",
    "rtc guided": "tab:blue",
    "rtc prefix": "tab:green",
}
SHOWN_S = (3.0, 9.0)
PANELS = (
    ("chunk position", "between chunks [rad]"),
    ("chunk velocity", "between chunks [rad/s]"),
    ("limit hits", "ticks limited, all joints"),
)


def plot(
    path: Path,
    robot: Embodiment,
    runs: dict[tuple[str, int], Run],
    rows: dict[tuple[str, int], dict[str, float]],
) -> None:
    """Above: the first joint at a delay of 6 steps; below: the table over the delays."""
    figure = plt.figure(figsize=(8.0, 5.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1.0))
    _plot_joint(above.subplots(), robot, runs)
    for axes, (name, label) in zip(below.subplots(1, 3), PANELS, strict=True):
        for strategy, colour in COLOURS.items():
            delays = [delay for s, delay in rows if s == strategy]
            axes.plot(
                delays, [rows[strategy, d][name] for d in delays], "o-", color=colour, ms=3, lw=1.2
            )
        axes.set_xticks(sorted({delay for _, delay in rows}))
        axes.set_xlabel("delay [steps]", fontsize=8)
        axes.set_title(label, fontsize=8)
        if name == "limit hits":
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0.0)
        axes.tick_params(labelsize=7)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    # The plot has few colours; a palette image takes a third of the space.
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)


def _plot_joint(axes: plt.Axes, robot: Embodiment, runs: dict[tuple[str, int], Run]) -> None:
    detour = Detour(robot, 0)
    for strategy, colour in COLOURS.items():
        result = runs.get((strategy, 6))
        if result is None:
            continue
        t = result.times_s - result.times_s[0]
        shown = (t >= SHOWN_S[0]) & (t <= SHOWN_S[1])
        axes.plot(t[shown], result.commands[shown, 0], color=colour, lw=1.3, label=strategy)
        if strategy in ("sequential", "rtc guided"):
            at = np.array([s.tick for s in result.splices if shown[s.tick]])
            axes.plot(t[at], result.commands[at, 0], "|", color=colour, ms=9)
    times_s = result.times_s[shown]
    for side in (-1.0, 1.0):
        path = detour.curve(side, 0.0, times_s)[:, 0]
        axes.plot(t[shown], path, ":", color="black", lw=0.8)
    axes.set_title("commanded position of a joint, delay 6 steps; | a splice", fontsize=8)
    axes.set_xlabel("time [s]", fontsize=8)
    axes.set_ylabel("[rad]", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
