"""One line on the terminal that tells how far a replay is."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

# On a terminal one line is rewritten; elsewhere each line stays.
_TERMINAL_PERIOD_S = 0.1
_PERIOD_S = 5.0
_BAR = 30


class ReplayProgress:
    """Writes the line; a context manager that ends it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrite = stream.isatty()
        self._next_s = time.monotonic()
        self._written = 0

    def tell(self, played_s: float, total_s: float, approaching: bool) -> None:
        """Write a line if it is time for one."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + (_TERMINAL_PERIOD_S if self._rewrite else _PERIOD_S)
        line = progress_line(played_s, total_s, approaching)
        if not self._rewrite:
            self._stream.write(line + "\n")
        else:
            self._stream.write("\r" + line.ljust(self._written))
            self._written = len(line)
        self._stream.flush()

    def __enter__(self) -> ReplayProgress:
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


def progress_line(played_s: float, total_s: float, approaching: bool) -> str:
    """How far it is, as a bar and in seconds."""
    done = round(_BAR * played_s / total_s) if total_s > 0.0 else 0
    what = "to the first pose" if approaching else "replaying"
    return f"[{'=' * done}{' ' * (_BAR - done)}] {played_s:5.1f} / {total_s:.1f} s  {what}"
