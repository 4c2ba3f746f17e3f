"""One started process: its output, its end, and signals to its whole group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from pi0_ros.graph.declaration import Process

_READ_BYTES = 1 << 16


class Child:
    """A process in a session of its own, so that a terminal's Ctrl-C passes it by.

    ``output`` and ``exited`` are file descriptors to select on: output is
    readable, respectively the process has ended and waits for :meth:`reap`.
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
        """Process id, and id of its group."""
        return self._popen.pid

    def send(self, number: signal.Signals) -> None:
        """Signal the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def read_lines(self) -> tuple[list[str], bool]:
        """Complete lines that have arrived, and whether the output has ended."""
        try:
            data = os.read(self.output, _READ_BYTES)
        except BlockingIOError:
            return [], False
        ended = not data
        return self._lines(data, flush=ended), ended

    def last_lines(self) -> list[str]:
        """What is left of an ended process's output, a line without its end too.

        There may be no end of file: who left the group can still hold the pipe.
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
        """Collect the exit status of the ended process; kill what it left behind.

        The group is killed first: until the status is collected its id cannot
        be given to anyone else.
        """
        self.send(signal.SIGKILL)
        return self._popen.wait()

    def close(self) -> None:
        """Give the descriptors back."""
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        os.close(self.exited)


def describe_exit(code: int) -> str:
    """Say how a process ended: ``exit code 1`` or ``killed by SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
