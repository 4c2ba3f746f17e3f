"""Reading single keys from a terminal, without waiting for Enter."""

from __future__ import annotations

import os
import select
import termios
import tty
from types import TracebackType
from typing import Any

#: The character of Ctrl-D, which also marks the end of the input.
END_OF_INPUT = "\x04"


class KeyReader:
    """While entered, keys arrive one by one and are not echoed; Ctrl-C still interrupts.

    Raises ValueError if the descriptor is no terminal.
    """

    def __init__(self, descriptor: int) -> None:
        if descriptor < 0 or not os.isatty(descriptor):
            raise ValueError(
                "reading keys needs a terminal and the input is none; run the program by itself in "
                "one (ros2 launch and pipes give none)"
            )
        self._descriptor = descriptor
        self._before: list[Any] | None = None

    def __enter__(self) -> KeyReader:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        # Keys pressed earlier were meant for another program.
        termios.tcflush(self._descriptor, termios.TCIFLUSH)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restore()

    def restore(self) -> None:
        """Restore the terminal's settings. A second call does nothing."""
        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
            self._before = None

    def read(self, timeout_s: float = 0.0) -> str:
        """The characters typed since the last call; waits at most ``timeout_s`` for the first."""
        data = b""
        while select.select([self._descriptor], [], [], 0.0 if data else timeout_s)[0]:
            piece = os.read(self._descriptor, 1024)
            if not piece:
                return data.decode(errors="ignore") + END_OF_INPUT
            data += piece
        return data.decode(errors="ignore")


def without_special_keys(typed: str) -> str:
    """``typed``, or "" if it begins with an escape sequence such as an arrow key.

    A lone escape is kept.
    """
    return "" if typed.startswith("\x1b") and len(typed) > 1 else typed
