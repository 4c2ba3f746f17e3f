"""Ctrl-C and its relatives, turned into something to wait for, or to look at."""

from __future__ import annotations

import signal
import socket
from types import FrameType, TracebackType
from typing import Any

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, counts SIGINT, SIGTERM and SIGHUP instead of dying of them.

    The descriptor becomes readable at each one. Main thread only.
    """

    def __init__(self) -> None:
        self.count = 0
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: dict[signal.Signals, Any] = {}
        self._before_fd = -1

    def fileno(self) -> int:
        """Descriptor to select on."""
        return self._reader.fileno()

    def clear(self) -> None:
        """Make the descriptor unreadable again; the count stays."""
        while True:
            try:
                self._reader.recv(4096)
            except BlockingIOError:
                return

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was one.

        For programs that spin an EventsExecutor: raised inside a callback, as Python does by
        itself, it comes out of the executor as an error of another kind.
        """
        if self.count:
            raise KeyboardInterrupt

    def __enter__(self) -> StopSignals:
        self._before_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _STOP:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before_fd)
        self._reader.close()
        self._writer.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
