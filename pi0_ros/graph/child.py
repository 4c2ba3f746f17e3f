"""One started process: its output, its exit, and signals to its process group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from pi0_ros.graph.declaration import Process

_READ_BYTES = 1 << 16


class Child:
    """A process in its own session, which the terminal's Ctrl-C does not reach.

    ``output`` and ``exited`` are file descriptors to select on. The first is readable when output
    has arrived, the second when the process has ended and waits for :meth:`reap`.
    """

    def __init__(
        self, process: Process, words: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.process = process
        self._popen = subprocess.Popen(
            words,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._popen.stdout is not None
        self.output = self._popen.stdout.fileno()
        os.set_blocking(self.output, False)
        self.exited = os.pidfd_open(self._popen.pid)
        self._partial = b""

    @property
    def name(self) -> str:
        """Name of the declared process."""
        return self.process.name

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._popen.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def read_lines(self) -> tuple[list[str], bool]:
        """The complete lines that have arrived, and whether the output has ended."""
        try:
            data = os.read(self.output, _READ_BYTES)
        except BlockingIOError:
            return [], False
        ended = not data
        return self._lines(data, flush=ended), ended

    def last_lines(self) -> list[str]:
        """The remaining output of an ended process, including an unfinished last line.

        The end of file may be missing: a process that left the group can still hold the pipe open.
        """
        data = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.output, _READ_BYTES):
                data += piece
        return self._lines(data, flush=True)

    def _lines(self, data: bytes, *, flush: bool) -> list[str]:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if self._partial and (flush or len(self._partial) > _READ_BYTES):
            lines.append(self._partial)
            self._partial = b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def reap(self) -> int:
        """Collect the exit status of the ended process, and kill the rest of its group.

        The group is killed first, because its id cannot be reused until the status is collected.
        """
        self.send(signal.SIGKILL)
        return self._popen.wait()

    def close(self) -> None:
        """Close the descriptors."""
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        os.close(self.exited)


def describe_exit(code: int) -> str:
    """Describe how a process ended: ``exit code 1`` or ``killed by SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
