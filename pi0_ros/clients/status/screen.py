"""Draws a snapshot. Every colour repeats what a word or a symbol also shows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pi0_ros.clients.status.model import Level, Node, Snapshot
from pi0_ros.clients.status.panels import (
    LEFT,
    STYLES,
    heading,
    joint_panel,
    loop_panel,
    policy_panel,
    stream_panel,
)
from pi0_ros.clients.status.suite_monitor import NO_TICK_AFTER_S
from pi0_ros.clients.status.words import state_level, state_words
from pi0_ros.control import ExecutorState

#: Narrower screens have one column; wider ones show the joints in a second one.
TWO_COLUMNS = 96
_BAR = 30
_LABEL = 11


def draw(snapshot: Snapshot, width: int, height: int | None = None) -> RenderableType:
    """The whole screen, ``width`` characters wide and at most ``height`` lines high."""
    if not snapshot.heard:
        return Group(_title(snapshot, width), _cut(snapshot.verdict, STYLES[Level.SILENT]))
    top = [_title(snapshot, width), *_doing(snapshot, width)]
    bottom = _nodes(snapshot, width)
    panels = [loop_panel(snapshot), policy_panel(snapshot), stream_panel(snapshot)]
    if width < TWO_COLUMNS:
        used = len(top) + len(bottom) + _height(panels)
        room = None if height is None else height - used
        joints = joint_panel(snapshot.joints, width, room)
        return Group(*top, *bottom, *panels, joints)
    room = None if height is None else height - len(top) - len(bottom)
    columns, spare = _columns(snapshot, panels, width, room)
    if spare is not None and spare < 0:  # cut off lines without a warning or an error
        return Group(*top, *bottom, columns)
    spacer = [] if spare in (0, 1) else [Text("")]
    return Group(*top, *spacer, columns, *spacer, *bottom)


def _columns(
    snapshot: Snapshot, panels: Sequence[Table], width: int, room: int | None
) -> tuple[Table, int | None]:
    """Panels beside the joints, and how many of ``room`` lines remain."""
    high = _height(panels)
    airy = room is None or room >= high + len(panels) - 1
    left = [part for panel in panels for part in ((panel, Text("")) if airy else (panel,))]
    high += len(panels) - 1 if airy else 0
    columns = Table.grid(padding=(0, 2, 0, 0))
    columns.add_column(width=LEFT)
    columns.add_column(width=width - LEFT - 2)
    joints = joint_panel(snapshot.joints, width - LEFT - 2, room)
    columns.add_row(Group(*(left[:-1] if airy else left)), joints)
    return columns, None if room is None else room - max(high, joints.row_count)


def _height(panels: Sequence[Table]) -> int:
    return sum(panel.row_count for panel in panels)


def _title(snapshot: Snapshot, width: int) -> Text:
    style = STYLES[snapshot.level]
    left = Text.assemble(
        (f" {snapshot.level.name} ", f"reverse {style}"), (f" π0 {snapshot.robot}", "bold")
    )
    where = f"domain {snapshot.domain_id}"
    if snapshot.namespace != "/":
        where += f"  {snapshot.namespace}"
    left.append(" " * max(1, width - left.cell_len - len(where)))
    left.append(where, "dim")
    return _one_line(left)


def _doing(snapshot: Snapshot, width: int) -> list[Text]:
    """State and its reason, chunk, checkpoint and prompt: always four lines."""
    control, policy = snapshot.control, snapshot.policy
    lines = [_state(snapshot), _chunk(snapshot, width)]
    if policy is None:
        checkpoint, prompt = (control and control.checkpoint_id) or "-", "-"
    else:
        checkpoint = policy.checkpoint + ("" if policy.trained else "  (untrained)")
        prompt = policy.prompt or "none: nothing is inferred"
    lines.append(_labelled("checkpoint", checkpoint))
    lines.append(_labelled("prompt", prompt, "" if policy and policy.prompt else "yellow"))
    return lines


def _state(snapshot: Snapshot) -> Text:
    """The state of the robot, or its last known state if the executor is silent."""
    control, loop = snapshot.control, snapshot.loop
    if control is None or loop is None:
        return _labelled(
            "state", "unknown: no status of chunk_executor heard", STYLES[Level.SILENT]
        )
    if loop.heard_s_ago > NO_TICK_AFTER_S and control.state is not ExecutorState.INACTIVE:
        text = f"unknown: no status for {loop.heard_s_ago:.0f} s, the last was {control.state.name}"
        return _labelled("state", text, f"bold {STYLES[Level.SILENT]}")
    style = STYLES[state_level(control)]
    line = _labelled("state", control.state.name, f"bold {style}")
    return _one_line(line.append(f"  {state_words(control)}", style))


def _chunk(snapshot: Snapshot, width: int) -> Text:
    control = snapshot.control
    if control is None or control.state is not ExecutorState.EXECUTING or not control.chunk_horizon:
        return _labelled("chunk", "none is followed", "dim")
    cells = min(_BAR, max(0, width - 52))
    done = round(cells * min(1.0, control.steps_consumed / control.chunk_horizon))
    line = _labelled("chunk", f"{control.chunk_sequence}  ")
    line.append("━" * done, "green")
    line.append("─" * (cells - done), "dim")
    line.append(f"  step {control.chunk_step} of {control.chunk_horizon}")
    return line


def _nodes(snapshot: Snapshot, width: int) -> list[Text]:
    """One line per node (two for a long warning or error), and the last refusal."""
    lines = [heading("nodes", width)]
    for node in snapshot.nodes:
        lines += _node(node, width)
    control = snapshot.control
    if control is not None and control.last_refusal:
        lines.append(_cut(f"last refused: {control.last_refusal}", "yellow" if control else "dim"))
    return lines


def _node(node: Node, width: int) -> list[Text]:
    style = STYLES[node.level]
    healthy = node.level is Level.OK
    line = Text(f"{node.level.name:<6} ", style="" if healthy else f"bold {style}")
    line.append(f"{node.name:<15} ", "" if healthy else "bold")
    room = width - line.cell_len
    first, rest = _split(node.said, room) if not healthy else (node.said, "")
    lines = [_one_line(line.append(first, "" if healthy else style))]
    if rest:
        lines.append(_cut(f"{'':<{width - room}}{rest}", style))
    return lines


def _split(text: str, room: int) -> tuple[str, str]:
    """Split at the last space that fits, or at ``room`` characters without a space."""
    if len(text) <= room or room <= 0:
        return text, ""
    end = text.rfind(" ", 0, room + 1)
    end = end if end > 0 else room
    return text[:end], text[end:].strip()


def _labelled(label: str, text: str, style: str = "") -> Text:
    line = Text().append(f"{label:<{_LABEL}}", "dim").append(text, style)
    return _one_line(line)


def _cut(text: str, style: str) -> Text:
    return _one_line(Text(text, style=style))


def _one_line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
