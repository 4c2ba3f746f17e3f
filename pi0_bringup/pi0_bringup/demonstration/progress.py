"""A line now and then while the robot runs."""

from __future__ import annotations

import statistics
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pi0_bringup.demonstration.monitor import Monitor

# On a terminal one line is rewritten; elsewhere each line stays.
_TERMINAL_PERIOD_S = 0.5
_PERIOD_S = 5.0
_RECENT = 10


class Progress:
    """Writes the state of the run; a context manager that ends the last line."""

    def __init__(self, stream: TextIO, duration_s: float) -> None:
        self._stream = stream
        self._duration_s = duration_s
        self._rewrite = stream.isatty()
        self._next_s = time.monotonic()
        self._written = 0

    def tell(self, monitor: Monitor) -> None:
        """Write a line if it is time for one."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + (_TERMINAL_PERIOD_S if self._rewrite else _PERIOD_S)
        line = self._line(monitor)
        if self._rewrite:
            self._stream.write("\r" + line.ljust(self._written))
            self._written = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._written:
            self._stream.write("\n")
            self._stream.flush()

    def _line(self, monitor: Monitor) -> str:
        recording = monitor.recording
        if recording.last is None:
            return f"starting   {monitor.state or 'waiting for the executor'}"
        parts = [
            f"{recording.robot_s:5.1f} / {self._duration_s:g} s",
            monitor.state,
            f"{len(recording.boundaries)} chunks",
        ]
        if recording.inference_ms:
            recent_ms = statistics.median(recording.inference_ms[-_RECENT:])
            parts.append(f"inference {recent_ms:.0f} ms")
        if recording.observation_age_s:
            recent_s = statistics.median(recording.observation_age_s[-_RECENT:])
            parts.append(f"observation age {recent_s * 1e3:.0f} ms")
        parts.append(f"{recording.last.limit_hits} limit hits")
        return "   ".join(parts)
