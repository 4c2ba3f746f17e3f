"""A recorder that ``pi0 record`` starts for itself, and ends with itself."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import TracebackType

from pi0_ros.graph.child import Child, describe_exit
from pi0_ros.graph.command import command_line
from pi0_ros.graph.declaration import Process

_END_S = 60.0  # an episode may have to be written
_KILL_WAIT_S = 10.0  # killed, it ends at once unless it sleeps in the kernel
_LINES = 20


class OwnRecorder:
    """Nothing until :meth:`start`; leaving the context ends it in order."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._child: Child | None = None
        self._lines: list[str] = []
        self._code: int | None = None

    @property
    def started(self) -> bool:
        """Whether there is one of ours."""
        return self._child is not None

    @property
    def ended(self) -> bool:
        """Whether ours has ended; never without one."""
        if self._child is not None and self._code is None:
            if not os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return False
            self._code = self._child.reap()
            self._lines += self._child.last_lines()
            self._lines.append(f"the recorder ended: {describe_exit(self._code)}")
        return self._code is not None

    def start(self) -> None:
        """Start it. Raises :class:`~pi0_ros.graph.options.GraphError` if it is not installed."""
        words = command_line(self._process, os.environ)
        self._child = Child(self._process, words, os.environ)

    def lines(self) -> list[str]:
        """The last lines of its output."""
        if self._child is not None and self._code is None:
            while True:
                lines, _ = self._child.read_lines()
                if not lines:
                    break
                self._lines += lines
        del self._lines[:-_LINES]
        return list(self._lines)

    def __enter__(self) -> OwnRecorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child is None:
            return
        self._child.send(signal.SIGINT)
        if not self._ends_within(_END_S):
            sys.stderr.write(
                f"pi0: the recorder did not end within {_END_S:g} s and is killed; "
                "`pi0 bag repair` its episode\n"
            )
            self._child.send(signal.SIGKILL)
            self._ends_within(_KILL_WAIT_S)
        self._child.close()

    def _ends_within(self, time_s: float) -> bool:
        deadline_s = time.monotonic() + time_s
        while not self.ended and time.monotonic() < deadline_s:
            self.lines()  # a full pipe would keep it from ending
            time.sleep(0.02)
        return self.ended
