"""Stops the graph in order if the supervisor dies before it has done so.

This is a separate program. It reads one line ``PID STOP_ORDER`` for each started process from a
pipe of the supervisor. The pipe ends when the supervisor ends for any reason; the guardian then
stops the processes that still run. It imports only modules that load fast.
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
    """Wait until the supervisor ends, then stop the remaining processes."""
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
    """Wait for each process in turn, at most ``grace_s`` each."""
    for fd in descriptors:
        _ended(fd, grace_s)


def _ended(fd: int, timeout_s: float) -> bool:
    return bool(select.select([fd], [], [], timeout_s)[0])


if __name__ == "__main__":
    main()
