"""Plots of the report: episode lengths, joint ranges and limits, one episode over time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.dataset.view.summary import JointRange, lengths_s, short

_OUTCOME_COLOURS = {"succeeded": "#2a7f62", "failed": "#c8553d", "unmarked": "#8a94a6"}
_RANGE, _USUAL, _LIMIT, _OUTSIDE = "#9db8d9", "#2f5d8c", "#e9edf2", "#c8553d"
_GRID: dict[str, Any] = {"color": "#dde2e8", "linewidth": 0.6}
_ROW_INCH = 0.22


def plot_lengths(dataset: Dataset) -> Figure:
    """One bar for each episode, coloured by outcome."""
    lengths = lengths_s(dataset)
    outcomes = [dataset.source(record.index).outcome for record in dataset.records]
    figure, axes = _figure(height=2.4)
    for outcome, colour in _OUTCOME_COLOURS.items():
        chosen = [i for i, each in enumerate(outcomes) if each == outcome]
        if chosen:
            label = f"{outcome} ({len(chosen)})"
            axes.bar(chosen, lengths[chosen], color=colour, width=0.8, label=label)
    axes.axhline(np.median(lengths), color="#333", linewidth=0.8, linestyle="--")
    axes.annotate(
        f"median {np.median(lengths):.1f} s",
        (1.0, np.median(lengths)),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )
    axes.set_xlabel("episode")
    axes.set_ylabel("length [s]")
    axes.set_xlim(-0.8, len(lengths) - 0.2)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", **_GRID)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure


def plot_ranges(ranges: Sequence[JointRange]) -> Figure:
    """The range of each dimension, scaled to its limits, or to the range itself without limits."""
    figure, axes = _figure(height=0.9 + _ROW_INCH * len(ranges))
    for row, each in enumerate(ranges):
        known = np.isfinite(each.lower)
        low, high = (each.lower, each.upper) if known else (each.minimum, each.maximum)
        span = (high - low) or 1.0

        def place(value: float, low: float = low, span: float = span) -> float:
            return float(np.clip((value - low) / span, -0.06, 1.06))

        if known:
            axes.barh(row, 1.0, color=_LIMIT, height=0.86)
        colour = _OUTSIDE if known and each.outside else _RANGE
        for start, end, height, shade in (
            (each.minimum, each.maximum, 0.22, colour),
            (each.low, each.high, 0.5, colour),
            (each.usual_low, each.usual_high, 0.5, _USUAL),
        ):
            width = max(place(end) - place(start), 0.003)
            axes.barh(row, width, left=place(start), height=height, color=shade)
        low_text, high_text = (f"{round(v, 2) + 0.0:.2f}" for v in (each.minimum, each.maximum))
        text = f"{low_text} … {high_text} {each.unit}"
        axes.text(1.08, row, text, va="center", fontsize=7.5)
    axes.set_yticks(range(len(ranges)), [each.name for each in ranges], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(-0.07, 1.07)
    axes.set_xticks([0, 0.5, 1], ["lower limit", "middle", "upper limit"], fontsize=8)
    axes.grid(axis="x", **_GRID)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    return figure


def plot_episode(dataset: Dataset, index: int) -> Figure:
    """States and actions of an episode over time, one panel for each action dimension."""
    episode = dataset.episode(index)
    labels = dataset.info.features["action"].labels
    states = dict(
        zip(dataset.info.features["observation.state"].labels, episode.state.T, strict=True)
    )
    columns = 2
    rows = -(-len(labels) // columns)
    figure = Figure(figsize=(9, 0.4 + 0.85 * rows), layout="constrained")
    time_s = np.arange(len(episode)) / dataset.fps
    for place, (label, action) in enumerate(zip(labels, episode.action.T, strict=True)):
        # Down the first column, then the second.
        axes = figure.add_subplot(rows, columns, place % rows * columns + place // rows + 1)
        axes.plot(time_s, action, color=_OUTSIDE, linewidth=1.0, label="action")
        if label in states:
            axes.plot(time_s, states[label], color=_USUAL, linewidth=1.0, label="state")
        for frame, _ in episode.marks[1:]:
            axes.axvline(frame / dataset.fps, color="#555", linewidth=0.7, linestyle=":")
        axes.set_title(label, fontsize=8, loc="left", pad=2)
        axes.tick_params(labelsize=6.5)
        axes.grid(**_GRID)
        axes.spines[["top", "right"]].set_visible(False)
        if place == 0:
            axes.legend(
                frameon=False,
                fontsize=7,
                ncols=2,
                loc="lower right",
                bbox_to_anchor=(1.0, 0.98),
                borderaxespad=0.0,
            )
    return figure


def plot_dataset(
    dataset: Dataset, ranges: Sequence[JointRange], views: Sequence[tuple[str, NDArray[Any]]]
) -> Figure:
    """The report on one page: thumbnails at the top, lengths and ranges below."""
    columns = 6
    rows = -(-len(views) // columns)
    drawn = [_pixels(figure) for figure in (plot_lengths(dataset), plot_ranges(ranges))]
    heights = [1.55] * rows + [9.0 * image.shape[0] / image.shape[1] for image in drawn]
    figure = Figure(figsize=(9, 0.5 + sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    for place, (title, pixels) in enumerate(views):
        axes = figure.add_subplot(grid[place // columns, place % columns])
        axes.imshow(pixels)
        axes.set_title(title, fontsize=7, pad=2)
        axes.axis("off")
    for row, image in enumerate(drawn):
        axes = figure.add_subplot(grid[rows + row, :])
        axes.imshow(image)
        axes.axis("off")
    figure.suptitle(dataset.root.resolve().name, fontsize=11)
    return figure


def svg(figure: Figure) -> str:
    """A figure as the text of an SVG element."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def thumbnails(
    dataset: Dataset, episode: int, side: int, moments: Sequence[float]
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Titles and small images of each colour camera at these fractions of an episode."""
    found = []
    last = dataset.record(episode).length - 1
    for key in dataset.cameras:
        if dataset.info.features[key].shape[-1] == 1:
            continue
        for moment in moments:
            pixels = dataset.image(key, episode, round(moment * last))
            step = max(1, max(pixels.shape[:2]) // side)
            found.append((f"{episode} {short(key)}", pixels[::step, ::step]))
    return found


def _figure(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_axisbelow(True)
    return figure, axes


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(180)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())
