"""Output of several processes on one terminal."""

from __future__ import annotations

import contextlib
from typing import TextIO

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_RESET = "\033[0m"


class TerminalSink:
    """Writes ``[name] text``, each name in its own colour if the stream is a terminal.

    A closed stream is not an error: whoever read the output may end first, and the
    graph must still be stopped in order.
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
