"""Formats the summary as a table."""

from __future__ import annotations

from pi0_bringup.demo.summary import Spread, Summary


def rows(summary: Summary) -> list[tuple[str, str]]:
    """Label and text of each line of the table."""
    s = summary
    lines = [
        ("robot time", f"{s.robot_s:.1f} s, real-time factor {s.real_time_factor:.2f}"),
        (
            "chunks executed",
            f"{s.chunks_executed} of {s.chunks_accepted} accepted, {s.chunks_refused} refused",
        ),
        ("following a chunk", f"{s.executing_share:.1%} of ticks, {s.underruns} underruns"),
        (
            "command from chunk p50 / p95",
            f"{s.following_error.p50:.1%} / {s.following_error.p95:.1%} of the joint's range",
        ),
        ("inference p50 / p95", _spread(s.inference_ms, "ms")),
        ("observation age p50 / p95", _spread(s.observation_age_ms, "ms")),
        ("observation skew p50 / p95", _spread(s.observation_skew_ms, "ms")),
        ("ticks / missed", f"{s.ticks} / {s.missed_ticks}"),
        ("tick lateness p50 / p99", f"{s.lateness_p50_ms:.2f} / {s.lateness_p99_ms:.2f} ms"),
        (
            "limit hits",
            f"{s.position_limit_hits} position, {s.velocity_limit_hits} velocity, "
            f"{s.acceleration_limit_hits} acceleration, {s.jerk_limit_hits} jerk",
        ),
        ("executor CPU", f"{s.executor_cpu_share:.1%} of a core"),
    ]
    if s.reward is not None:
        lines.append(("simulated reward", str(s.reward)))
    return lines


def table(summary: Summary) -> str:
    """Align the lines into a table."""
    lines = rows(summary)
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"  {label:<{width}}  {value}" for label, value in lines)


def _spread(spread: Spread, unit: str) -> str:
    return f"{spread.p50:.1f} / {spread.p95:.1f} {unit}"
