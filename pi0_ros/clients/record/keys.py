"""Single keys from a terminal, which is given back as it was found."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Any


class Keys:
    """While entered, keys come one by one and unseen; Ctrl-C still interrupts."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._before: list[Any] = []

    def __enter__(self) -> Keys:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        termios.tcflush(self._fd, termios.TCIFLUSH)  # typed for something else
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """What has been typed since the last call, "" for nothing; "q" at the end of input.

        Arrow keys and their like are left out; a lone escape is ``"\\x1b"``.
        """
        if not select.select([self._fd], [], [], 0.0)[0]:
            return ""
        data = os.read(self._fd, 1024)
        if not data:
            return "q"
        if data.startswith(b"\x1b") and len(data) > 1:
            return ""
        return data.decode(errors="ignore")
