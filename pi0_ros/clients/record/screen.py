"""The recording screen, drawn from the status of the recorder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_STATES = {
    0: ("READY", "bold black on green"),
    1: ("● RECORDING", "bold white on red"),
    2: ("WRITING", "bold black on yellow"),
    3: ("LAST EPISODE FAILED", "bold white on red"),
}
_NOT_READY = ("NOT READY", "bold black on yellow")
_LOST = ("NO ANSWER FROM THE RECORDER", "bold white on red")
_KEYS_IDLE = (("space", "start"), ("q", "quit"))
_KEYS_RECORDING = (
    *(("space", "stop"), ("s", "success"), ("f", "failure"), ("d", "discard")),
    *(("r", "again"), ("i", "instruction")),
)
_SLOW = 0.9  # of the expected rate
_STALE_S = 1.0
_LOG_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleView:
    """What the screen shows in addition to the status (pi0_msgs/RecorderStatus).

    ``log`` holds the last lines, newest last. ``typing`` is the text being typed, or None.
    ``tally`` counts the kept episodes by outcome. ``silent_s`` is the age of the last status.
    """

    task: str
    log: Sequence[str] = ()
    typing: str | None = None
    tally: tuple[tuple[str, int], ...] = ()
    silent_s: float = 0.0


def draw(status: Any, view: ConsoleView) -> RenderableType:
    """The whole screen."""
    parts: list[RenderableType] = [_headline(status, view), _streams(status)]
    for lines, style in (
        (status.reason.split("; ") if status.reason else (), "yellow"),
        (status.warnings, "bold yellow"),
        (view.log[-_LOG_LINES:], "dim"),
    ):
        if len(lines):
            parts.append(Text("\n" + "\n".join(lines), style))
    parts += [Text(), _footer(status, view)]
    return Group(*parts)


def _headline(status: Any, view: ConsoleView) -> RenderableType:
    word, style = _state(status, view)
    minutes, seconds = divmod(status.elapsed_s, 60.0)
    top = Text.assemble((f" {word} ", style), f"  {int(minutes):02d}:{seconds:04.1f}")
    top.append(f"   {_disk_space(status)}", "dim")
    text = Text.assemble(("task         ", "dim"), status.task or view.task)
    if status.state == status.RECORDING and status.instruction != status.task:
        text.append_text(Text.assemble(("\ninstruction  ", "dim"), (status.instruction, "cyan")))
    if status.episode_path:
        text.append_text(Text.assemble(("\nepisode      ", "dim"), Path(status.episode_path).name))
    tally = ", ".join(f"{count} {outcome}" for outcome, count in view.tally if count)
    text.append_text(
        Text.assemble(
            ("\nkept         ", "dim"), f"{status.episodes_kept}", f"  ({tally})" if tally else ""
        )
    )
    return Panel(Group(top, text), title=f"pi0 record · {status.embodiment}", title_align="left")


def _state(status: Any, view: ConsoleView) -> tuple[str, str]:
    if view.silent_s > 3.0:
        return _LOST
    if status.state == status.IDLE and not status.ready:
        return _NOT_READY
    return _STATES[status.state]


def _disk_space(status: Any) -> str:
    text = f"{_size(status.bytes_written)} written, {_size(status.bytes_free)} free"
    if status.state == status.RECORDING and status.elapsed_s > 2.0 and status.bytes_written:
        left_s = status.bytes_free / (status.bytes_written / status.elapsed_s)
        text += f" ({left_s / 60:.0f} min)" if left_s < 36_000 else " (hours)"
    return text


def _streams(status: Any) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("topic", no_wrap=True, overflow="ellipsis", min_width=20)
    for name in ("Hz", "expected", "messages", "lost", "silent"):
        table.add_column(name, justify="right", no_wrap=True)
    recording = status.state == status.RECORDING
    for i, topic in enumerate(status.topics):
        rate, expected, age = status.rates_hz[i], status.expected_hz[i], status.ages_s[i]
        stale = math.isnan(age) or age > _STALE_S
        slow = expected > 0 and rate < _SLOW * expected
        style = "" if expected == 0 else "red" if stale else "yellow" if slow else "green"
        if expected == 0 and math.isnan(age):
            style = "dim"
        table.add_row(
            Text(topic, style),
            Text(f"{rate:.1f}" if rate else "-", style),
            f"{expected:g}" if expected else "",
            f"{status.written[i]}" if recording or status.written[i] else "",
            Text(str(status.lost[i]), "bold red") if status.lost[i] else "",
            "never" if math.isnan(age) else f"{age:.1f} s" if stale else "",
        )
    return table


def _footer(status: Any, view: ConsoleView) -> Text:
    if view.typing is not None:
        return Text.assemble(
            ("instruction: ", "bold cyan"), view.typing, ("▏", "blink"), ("  enter, esc", "dim")
        )
    keys = _KEYS_RECORDING if status.state == status.RECORDING else _KEYS_IDLE
    text = Text()
    for key, what in keys:
        text.append(f" {key} ", "reverse")
        text.append(f" {what}  ")
    return text


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit != "GB" else f"{count:.1f} GB"
        count /= 1000
    return f"{count:.1f} TB"
