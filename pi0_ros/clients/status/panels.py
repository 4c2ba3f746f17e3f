"""The blocks of the screen: the tick, the policy, the streams and the joints."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from pi0_ros.clients.status.model import Joint, Level, Loop, Policy, Snapshot, StreamStatus
from pi0_ros.nodes.executor_status import ExecutorView

STYLES = {
    Level.OK: "green",
    Level.WARN: "yellow",
    Level.ERROR: "red",
    Level.SILENT: "magenta",
}
_TROUBLE = "bold yellow"
#: Width of the left column. The table of joints uses the remaining width.
LEFT = 37
_LABEL = 10
#: Joints nearer to a position bound than this share of their range are marked.
_NEAR = 0.03
_BAR = 7
#: Narrower tables of joints have no bars.
_WITH_BARS = 54
_HITS = ("pos", "vel", "acc", "jrk")


def heading(text: str, width: int) -> Text:
    """A title followed by a horizontal line."""
    line = Text(f"{text} ", style="bold cyan", no_wrap=True, overflow="crop")
    line.append("─" * max(0, width - len(text) - 1), "dim")
    return line


def loop_panel(snapshot: Snapshot) -> Table:
    """Tick rate, lateness and counters, in six rows."""
    grid, control, loop = _grid("control"), snapshot.control, snapshot.loop
    if control is None or loop is None:
        grid.add_row("ticks", Text("not heard", STYLES[Level.SILENT]))
        return grid
    ticks = Text("-" if loop.tick_hz is None else f"{loop.tick_hz:.1f}")
    ticks.append(f" of {loop.expected_hz:g} Hz, " if loop.expected_hz else " Hz, ")
    ticks.append_text(_count(control, loop, "missed_ticks", "missed"))
    grid.add_row("ticks", ticks)
    late = (control.lateness_p50_ms, control.lateness_p99_ms, control.lateness_max_ms)
    grid.add_row("late ms", _spread(("p50", "p99", "max"), late))
    chunks = Text(f"{control.chunks_executed} executed, ")
    chunks.append_text(_count(control, loop, "chunks_refused", "refused"))
    grid.add_row("chunks", chunks)
    underruns = _count(control, loop, "underruns", "")
    underruns.append(f"{' ' * max(1, 7 - len(underruns))}cpu {control.cpu_share * 100:.1f} %")
    if control.vetoed_ticks:
        underruns.append("  ").append_text(_count(control, loop, "vetoed_ticks", "vetoed"))
    grid.add_row("underruns", underruns)
    off = "-" if loop.tracking_error is None else f"{loop.tracking_error:.3f}"
    grid.add_row("tracking", Text(f"{off} off at most"))
    return grid


def policy_panel(snapshot: Snapshot) -> Table:
    """Latency of the chunks and the planned delay."""
    grid, policy = _grid("policy"), snapshot.policy
    if policy is None:
        grid.add_row("chunks", Text("not heard", STYLES[Level.SILENT]))
        return grid
    latency = [policy.number(f"latency_{which}_ms") for which in ("p50", "p95", "max")]
    grid.add_row("latency ms", _spread(("p50", "p95", "max"), latency))
    grid.add_row("delay", _delay(policy))
    failed = policy.values.get("inferences_failed", "-")
    grid.add_row("chunks", Text(f"{policy.values.get('chunks', '-')} made, {failed} failed"))
    return grid


def _delay(policy: Policy) -> Text:
    """The planned delay in steps, and the strategy."""
    strategy = policy.values.get("strategy", "-")
    planned = policy.number("delay_used_steps")
    if planned is None:
        return Text(strategy)
    return Text(f"{planned:.0f} steps, {strategy}")


def stream_panel(snapshot: Snapshot) -> Table:
    """Rate, expected rate, age and skew of every stream, and of the sets."""
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for width in (7, 5, 4):
        grid.add_column(justify="right", no_wrap=True, width=width)
    titles = (Text(title, "dim") for title in ("Hz", "age", "skew"))
    grid.add_row(Text("streams", "bold cyan"), *titles)
    for stream in snapshot.streams:
        grid.add_row(*_stream_row(stream))
    if not snapshot.streams:
        grid.add_row(Text("not heard", STYLES[Level.SILENT]))
        return grid
    sets = snapshot.sets
    figures = (sets.get(key, "-") for key in ("sets_per_s", "age_max_ms", "skew_max_ms"))
    grid.add_row(Text("sets, at most ms", "dim"), *(_rounded(figure) for figure in figures))
    return grid


def _stream_row(stream: StreamStatus) -> list[Text]:
    style = "" if stream.level is Level.OK else STYLES[stream.level]
    name = Text(stream.name, style)
    rate = Text(_short(stream.rate_hz, "{:.0f}"), style)
    if stream.level is Level.SILENT:
        rate = Text("silent", f"bold {style}")
    elif stream.expected_hz is not None:
        rate.append(f"/{stream.expected_hz:.0f}", "dim")
        if stream.level is Level.WARN:
            rate.append("!", f"bold {style}")
    age = "never" if stream.age_ms is None else f"{stream.age_ms:.0f}"
    return [name, rate, Text(age, style), Text(_short(stream.skew_ms, "{:.0f}"))]


def joint_panel(joints: Sequence[Joint], width: int, height: int | None) -> Table:
    """A row per joint: command, error, position in its range, speed, limited ticks.

    If ``height`` lines are too few, the last one counts the joints that are not shown.
    """
    bars = width >= _WITH_BARS
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for size in (7, 6, *((_BAR,) if bars else ()), 3, *(3 for _ in _HITS)):
        grid.add_column(justify="right", no_wrap=True, width=size)
    titles = ["command", "off", *(("range",) if bars else ()), "v %", *_HITS]
    grid.add_row(Text("joints", "bold cyan"), *(Text(title, "dim") for title in titles))
    room = len(joints) if height is None else max(0, height - 1)
    shown = joints if len(joints) <= room else joints[: max(0, room - 1)]
    for joint in shown:
        grid.add_row(*_joint_row(joint, bars))
    if len(shown) < len(joints):
        grid.add_row(Text(f"and {len(joints) - len(shown)} more", "dim"))
    return grid


def _joint_row(joint: Joint, bars: bool) -> list[Text]:
    command = Text(f"{joint.command:.3f}" if math.isfinite(joint.command) else "-")
    name = Text(joint.name, "bold" if any(joint.recent) else "")
    off = Text(_short(joint.off, "{:+.3f}"), "dim" if joint.off is None else "")
    return [name, command, off, *([_bar(joint)] if bars else []), _speed(joint), *_hits(joint)]


def _bar(joint: Joint) -> Text:
    """A bar that shows the position of the command between its bounds."""
    lower, upper = joint.lower, joint.upper
    if lower is None or upper is None or not math.isfinite(joint.command) or upper <= lower:
        return Text("")
    share = min(1.0, max(0.0, (joint.command - lower) / (upper - lower)))
    inner = _BAR - 2
    place = min(inner - 1, int(share * inner))
    near = not _NEAR < share < 1.0 - _NEAR
    bar = Text("├" if share > 0.0 else "┃", "dim")
    bar.append("─" * place, "dim")
    bar.append("●", _TROUBLE if near else "bold green")
    bar.append("─" * (inner - 1 - place), "dim")
    bar.append("┤" if share < 1.0 else "┃", "dim")
    return bar


def _speed(joint: Joint) -> Text:
    if joint.velocity_limit is None or not math.isfinite(joint.velocity):
        return Text("-", "dim")
    percent = 100.0 * abs(joint.velocity) / joint.velocity_limit
    return Text(f"{percent:.0f}", "yellow" if percent > 95.0 else "")


def _hits(joint: Joint) -> list[Text]:
    """Counts by kind of limit; the rising ones are marked."""
    cells = []
    for count, recent in zip(joint.hits, joint.recent, strict=True):
        if recent:
            cells.append(Text(_compact(count), _TROUBLE))
        else:
            cells.append(Text(_compact(count) if count else "·", "" if count else "dim"))
    return cells


def _compact(count: int) -> str:
    """A count in three characters: 999, 12k, .3M, 12M."""
    if count < 1_000:
        return str(count)
    if count < 100_000:
        return f"{count // 1_000}k"
    return f".{count // 100_000}M" if count < 1_000_000 else f"{count // 1_000_000}M"


def _grid(title: str) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_LABEL, style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(Text(title, "bold not dim cyan"), "")
    return grid


def _spread(names: Sequence[str], values: Sequence[float | None]) -> Text:
    """Milliseconds, in at most four characters each."""
    parts = []
    for name, value in zip(names, values, strict=True):
        digits = 0 if value is None or value >= 100.0 else 1 if value >= 10.0 else 2
        number = _short(value, f"{{:.{digits}f}}")
        parts.append(Text(f"{name} ", "dim").append(number, "not dim"))
    return Text(" ").join(parts)


def _count(control: ExecutorView, loop: Loop, counter: str, what: str) -> Text:
    """A counter that should not rise, marked while it does."""
    text = f"{getattr(control, counter)} {what}".rstrip()
    return Text(text, _TROUBLE if counter in loop.rising else "")


def _short(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _rounded(figure: str) -> str:
    try:
        return f"{float(figure):.0f}"
    except ValueError:
        return figure
