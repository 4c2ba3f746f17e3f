"""SIGINT, SIGTERM and SIGHUP as a count and as a file descriptor to wait for."""

from __future__ import annotations

import signal
import socket
from types import FrameType, TracebackType
from typing import Any

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, SIGINT, SIGTERM and SIGHUP are counted and do not end the program.

    Each signal makes the descriptor readable. For the main thread only.
    """

    def __init__(self) -> None:
        self.count = 0
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: dict[signal.Signals, Any] = {}
        self._before_fd = -1

    def fileno(self) -> int:
        """The descriptor, for ``select``."""
        return self._reader.fileno()

    def clear(self) -> None:
        """Empty the descriptor, so that it is no longer readable; the count stays."""
        while True:
            try:
                self._reader.recv(4096)
            except BlockingIOError:
                return

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived.

        Programs that spin an EventsExecutor call this between callbacks. Python by itself raises
        KeyboardInterrupt inside a callback, and the executor turns it into another error.
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
