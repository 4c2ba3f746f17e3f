"""Real-time scheduling and locked memory, where the operating system permits them."""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from pathlib import Path

# <sys/mman.h> of Linux
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
# <linux/capability.h>
_CAP_IPC_LOCK = 14
#: Any process may keep this flag once it is set; clearing it needs CAP_SYS_NICE.
_ON_FORK = os.SCHED_RESET_ON_FORK


def raise_priority(priority: int) -> str:
    """Run every thread of this process under SCHED_FIFO, the calling one ahead of the others.

    The other threads are included because a tick waits for what they hold: the interpreter and the
    locks of the middleware. ``priority``: 2 to 99, or 0 for no change. Returns the result in
    words. Threads that start later have ordinary scheduling.
    """
    if priority == 0:
        return "ordinary scheduling (priority is 0)"
    try:
        # The highest priority first: if it is refused, nothing has been changed.
        _schedule(0, os.SCHED_FIFO | _ON_FORK, priority)
        _schedule_threads(os.SCHED_FIFO | _ON_FORK, priority - 1)
        _schedule(0, os.SCHED_FIFO | _ON_FORK, priority)
    except PermissionError:
        return (
            f"ordinary scheduling: no permission for real-time priority {priority}; "
            "raise rtprio in /etc/security/limits.conf"
        )
    return f"real-time priority {priority}"


def ordinary_priority() -> None:
    """Undo :func:`raise_priority`."""
    with suppress(PermissionError):
        _schedule_threads(os.SCHED_OTHER | _ON_FORK, 0)


def _schedule_threads(policy: int, priority: int) -> None:
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it ended meanwhile
            _schedule(int(thread), policy, priority)


def _schedule(thread: int, policy: int, priority: int) -> None:
    os.sched_setscheduler(thread, policy, os.sched_param(priority))


def lock_memory() -> str:
    """Lock the pages that this process has touched in memory; returns the result in words.

    It is done only where locked memory is not limited: with a limit, a later allocation would fail.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        return (
            f"not locked: at most {limit >> 10} KiB may be; "
            "set memlock to unlimited in /etc/security/limits.conf"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return f"not locked: {os.strerror(ctypes.get_errno())}"
    return "locked"


def unlock_memory() -> None:
    """Undo :func:`lock_memory`."""
    ctypes.CDLL(None).munlockall()


def _has_capability(number: int) -> bool:
    status = Path("/proc/self/status")
    if not status.exists():
        return False
    line = next(line for line in status.read_text().splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> number & 1)
