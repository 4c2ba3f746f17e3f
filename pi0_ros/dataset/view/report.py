"""Report about a dataset: one self-contained HTML file and a summary as PNG."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pi0_ros.dataset.format.features import ACTION, STATE
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.dataset.format.validate import validate
from pi0_ros.dataset.view.plots import (
    plot_dataset,
    plot_episode,
    plot_lengths,
    plot_ranges,
    svg,
    thumbnails,
)
from pi0_ros.dataset.view.summary import JointRange, clock, facts, joint_ranges

#: Episodes with thumbnails, and on the PNG.
_PICTURED = 24
_ON_PNG = 12
_THUMBNAIL = 112
_MOMENTS = (0.0, 0.5, 1.0)


def write_report(root: Path, folder: Path) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.png`` into a folder and return their paths."""
    dataset = Dataset.open(root)
    folder.mkdir(parents=True, exist_ok=True)
    page, picture = folder / "report.html", folder / "report.png"
    page.write_text(_page(dataset), encoding="utf-8")
    chosen = _spread(len(dataset.records), _ON_PNG)
    views = [view for i in chosen for view in thumbnails(dataset, i, _THUMBNAIL, (0.5,))]
    figure = plot_dataset(dataset, joint_ranges(dataset, ACTION), views[: 2 * _ON_PNG])
    figure.savefig(picture, dpi=130)
    dataset.close()
    return page, picture


def _page(dataset: Dataset) -> str:
    problems = validate(dataset.root)
    ranges = {name: joint_ranges(dataset, name) for name in (ACTION, STATE)}
    sections = [
        _facts(dataset),
        _verdict(problems, [r for each in ranges.values() for r in each if r.outside]),
        "<h2>Episodes</h2>",
        svg(plot_lengths(dataset)),
        _episodes(dataset),
        "<h2>Pictures</h2><p>First, middle and last frame of every camera.</p>",
        _pictures(dataset),
        "<h2>Actions against limits</h2>",
        _LEGEND,
        svg(plot_ranges(ranges[ACTION])),
        "<h2>States against limits</h2>",
        svg(plot_ranges(ranges[STATE])),
        f"<h2>Episode {(middle := len(dataset.records) // 2)}</h2>",
        svg(plot_episode(dataset, middle)),
    ]
    name = html.escape(dataset.root.resolve().name)
    return _SHELL.format(title=name, style=_STYLE, body="\n".join(sections))


def _facts(dataset: Dataset) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>"
        for key, value in facts(dataset).items()
    )
    return f'<table class="facts">{rows}</table>'


def _verdict(problems: Sequence[str], outside: Sequence[JointRange]) -> str:
    lines = [f"<li>{html.escape(problem)}</li>" for problem in problems]
    lines += [
        f"<li>{html.escape(each.name)}: {each.minimum:.3f} to {each.maximum:.3f} {each.unit},"
        f" limits {each.lower:g} to {each.upper:g}</li>"
        for each in outside
    ]
    if not lines:
        return '<p class="good">The files are complete; no value is outside its limits.</p>'
    return f'<div class="bad"><p>Problems:</p><ul>{"".join(lines)}</ul></div>'


def _episodes(dataset: Dataset) -> str:
    rows = []
    for record in dataset.records:
        source, episode = dataset.source(record.index), dataset.episode(record.index)
        steps = np.abs(np.diff(episode.action, axis=0)).max(axis=0) * dataset.fps
        fresh = 1 + int(np.any(np.diff(episode.state, axis=0) != 0, axis=1).sum())
        cells = (
            str(record.index),
            clock(record.length / dataset.fps),
            str(record.length),
            f"{fresh / (record.length / dataset.fps):.1f}",
            f"{steps.max(initial=0.0):.2f}",
            " → ".join(text for _, text in episode.marks),
            source.outcome,
            source.bag,
            "; ".join(source.problems) or source.notes,
        )
        tags = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr class="{html.escape(source.outcome)}">{tags}</tr>')
    head = "".join(f"<th>{html.escape(name)}</th>" for name in _COLUMNS)
    return (
        f'<div class="scroll"><table class="list"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        "<p class='note'>Observations per second: how often the aligned state changed. Fastest"
        " action: the largest step of any dimension from one frame to the next, per second.</p>"
    )


def _pictures(dataset: Dataset) -> str:
    chosen = _spread(len(dataset.records), _PICTURED)
    rows = []
    for index in chosen:
        views = thumbnails(dataset, index, _THUMBNAIL, _MOMENTS)
        images = "".join(
            f'<img alt="{html.escape(title)}" title="{html.escape(title)}" src="{_inline(pixels)}">'
            for title, pixels in views
        )
        rows.append(f'<div class="row"><span>{index}</span>{images}</div>')
    left_out = len(dataset.records) - len(chosen)
    note = f"<p class='note'>{left_out} episodes are not pictured.</p>" if left_out else ""
    return "".join(rows) + note


def _inline(pixels: NDArray[Any]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of ``count`` indices, at equal distances."""
    return sorted(set(np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist()))


_COLUMNS = (
    *("episode", "length", "frames", "observations [1/s]", "fastest action [1/s]"),
    *("instructions", "outcome", "bag", "notes"),
)
_LEGEND = (
    "<p class='note'>Grey: the embodiment's limits. Thin: least to greatest; light: 1 % to 99 %;"
    " dark: 10 % to 90 % of the frames. Red: beyond a limit.</p>"
)
_SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2733; max-width: 960px;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; } svg { max-width: 100%; height: auto; }
.facts th { text-align: left; font-weight: 600; padding: .15rem 1.5rem .15rem 0;
            vertical-align: top; white-space: nowrap; }
.list { font-size: 13px; width: 100%; } .scroll { max-height: 26rem; overflow: auto; }
.list th { text-align: left; position: sticky; top: 0; background: #fff; }
.list th, .list td { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #e5e9ee;
                     vertical-align: top; }
.list .failed td:nth-child(7) { color: #c8553d; }
.list .succeeded td:nth-child(7) { color: #2a7f62; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: 3px; margin: 3px 0; }
.row span { width: 2rem; color: #66707c; } .row img { width: 96px; height: auto; }
.note { color: #66707c; font-size: 13px; }
.good { border-left: 4px solid #2a7f62; padding: .3rem .8rem; background: #eef6f2; }
.bad { border-left: 4px solid #c8553d; padding: .3rem .8rem; background: #fbf0ed; }
"""
