"""The status line while the robot runs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pi0_bringup.demo.monitor import Monitor

_RECENT = 10


def state_line(monitor: Monitor, duration_s: float) -> str:
    """Time, state, chunks, and recent inference times and observation ages."""
    recording = monitor.recording
    if recording.last is None:
        return f"starting   {monitor.state or 'waiting for the executor'}"
    parts = [
        f"{recording.robot_s:5.1f} / {duration_s:g} s",
        monitor.state,
        f"{len(recording.boundaries)} chunks",
    ]
    if recording.inference_ms:
        recent_ms = statistics.median(recording.inference_ms[-_RECENT:])
        parts.append(f"inference {recent_ms:.0f} ms")
    if recording.observation_age_s:
        recent_s = statistics.median(recording.observation_age_s[-_RECENT:])
        parts.append(f"observation age {recent_s * 1e3:.0f} ms")
    parts.append(f"{sum(recording.last.total_hits)} limit hits")
    return "   ".join(parts)
