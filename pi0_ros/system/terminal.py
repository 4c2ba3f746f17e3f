"""Output on a terminal: lines of several processes, and one line of progress."""

from __future__ import annotations

import contextlib
import math
import os
import select
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_RESET = "\033[0m"

_BROKEN_PIPE = 141


def run_until_pipe_breaks(program: Callable[[], int]) -> int:
    """Run a program. Return its exit code, or 141, as shell tools do, if its output pipe breaks."""
    try:
        try:
            return program()
        finally:
            if sys.stdout is not None:  # None where the program was started without one
                sys.stdout.flush()
    except BrokenPipeError:
        if not _is_broken():
            raise
        # Python would flush the unwritten rest at exit, and print a trace.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _is_broken() -> bool:
    poll = select.poll()
    poll.register(sys.stdout, 0)  # poll() always reports errors
    return bool(poll.poll(0))


class TerminalSink:
    """Writes ``[name] text``, each name in its own colour if the stream is a terminal.

    A closed stream is not an error: the reader of the output may end first, and the graph must
    still be stopped in order.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = stream.isatty()
        self._names: list[str] = []

    def __call__(self, name: str, text: str) -> None:
        """Write one line."""
        with contextlib.suppress(OSError, ValueError):
            print(f"{self._label(name)} {text}", file=self._stream, flush=True)

    def _label(self, name: str) -> str:
        if not self._colour:
            return f"[{name}]"
        if name not in self._names:
            self._names.append(name)
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        return f"\033[{colour}m[{name}]{_RESET}"


class TerminalLine:
    """One line that shows progress; leaving the context ends the line.

    On a terminal the line is rewritten every ``period_s``. On another stream a new line is written
    every ``elsewhere_s``; with infinity there is none.
    """

    def __init__(
        self,
        stream: TextIO,
        period_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        elsewhere_s: float = 5.0,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._rewrite = stream.isatty()
        self._period_s = period_s if self._rewrite else elsewhere_s
        self._next_s = clock() if math.isfinite(self._period_s) else math.inf
        self._written = 0

    def update(self, line: Callable[[], str]) -> None:
        """Write the text that ``line`` returns, once per period."""
        now_s = self._clock()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._period_s
        text = line()
        if self._rewrite:
            self._stream.write("\r" + text.ljust(self._written))
            self._written = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def write_line(self, text: str) -> None:
        """Write a permanent line in place of the progress line."""
        if self._written:
            self._stream.write("\r" + " " * self._written + "\r")
            self._written = 0
        self._stream.write(text + "\n")
        self._stream.flush()

    def __enter__(self) -> TerminalLine:
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
