"""Stops the graph in order when its supervisor has died without doing so.

A small program of its own: it shares nothing with the supervisor but a pipe, on
which it reads one line ``PID STOP_ORDER`` for each process started. The end of
the pipe means that the supervisor is gone, however it went; whatever is then
still running is stopped. Imports only what starts fast.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Sequence

_STAGES_S = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0))


def main() -> None:
    """Wait for the supervisor's end, then stop what it left."""
    watched: dict[int, list[tuple[int, int]]] = {}
    for line in sys.stdin:
        pid, order = (int(word) for word in line.split())
        with contextlib.suppress(ProcessLookupError):
            watched.setdefault(order, []).append((pid, os.pidfd_open(pid)))
    for order in sorted(watched):
        for number, grace_s in _STAGES_S:
            alive = [(pid, fd) for pid, fd in watched[order] if not _ended(fd, 0.0)]
            for pid, _ in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number)
            _wait([fd for _, fd in alive], grace_s)


def _wait(descriptors: Sequence[int], grace_s: float) -> None:
    """Wait for each process in turn; together at most ``grace_s`` per process."""
    for fd in descriptors:
        _ended(fd, grace_s)


def _ended(fd: int, timeout_s: float) -> bool:
    return bool(select.select([fd], [], [], timeout_s)[0])


if __name__ == "__main__":
    main()
