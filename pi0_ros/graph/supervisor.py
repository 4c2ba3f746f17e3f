"""Starts the declared processes, forwards their output, and stops them in order.

One thread waits for output, exits and signals. Processes are stopped in ascending stop order. Each
level gets SIGINT, then SIGTERM, then SIGKILL; every further Ctrl-C sends the next one at once. If
the supervisor itself is killed, a guardian process stops the graph.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pi0_ros.graph import guardian
from pi0_ros.graph.child import Child, describe_exit
from pi0_ros.graph.command import command_line
from pi0_ros.graph.declaration import Process
from pi0_ros.graph.options import GraphError
from pi0_ros.system.stop_signals import StopSignals

#: Receives the name of a process and one line of its output.
Sink = Callable[[str, str], None]

# A killed process ends at once unless it is blocked in the kernel; then stop waiting for it.
_KILL_WAIT_S = 10.0

#: Name in front of the supervisor's own lines.
OWN_NAME = "pi0"


@dataclass(frozen=True, slots=True, kw_only=True)
class GracePeriods:
    """How long a process may take to end [s] after SIGINT and after SIGTERM.

    A further Ctrl-C cuts these times short, unless ``patient``.
    """

    interrupt_s: float = 10.0
    terminate_s: float = 5.0
    patient: bool = False


class Supervisor:
    """The running graph; leaving the context stops every process.

    ``failure`` says why the graph must stop, or is None. ``unclean`` lists the processes that did
    not stop well. A caller that already counts stop signals passes its ``signals``; otherwise the
    supervisor counts them.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        sink: Sink,
        *,
        grace: GracePeriods | None = None,
        environment: Mapping[str, str] | None = None,
        signals: StopSignals | None = None,
    ) -> None:
        self.failure: str | None = None
        self.unclean: list[str] = []
        self._processes = tuple(processes)
        self._sink = sink
        self._grace = grace or GracePeriods()
        self._environment = dict(os.environ if environment is None else environment)
        self._running: list[Child] = []
        self._stopping = False
        self._owns_signals = signals is None
        self._signals = signals or StopSignals()
        self._selector = selectors.DefaultSelector()
        self._guardian: subprocess.Popen[bytes] | None = None

    @property
    def stop_requested(self) -> bool:
        """Whether SIGINT, SIGTERM or SIGHUP has arrived."""
        return self._signals.count > 0

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the processes that have not ended."""
        return tuple(child.name for child in self._running)

    def run(self) -> int:
        """Start, wait for a signal or a failure, and stop; return the exit code."""
        with self:
            self.start()
            while self._running and self.failure is None and not self.stop_requested:
                self.step(None)
        return 1 if self.failure is not None or self.unclean else 0

    def __enter__(self) -> Supervisor:
        if self._owns_signals:
            self._signals.__enter__()
        self._selector.register(self._signals, selectors.EVENT_READ, self._signals.clear)
        self._start_guardian()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._end_guardian()
        self._selector.close()
        if self._owns_signals:
            self._signals.__exit__(kind, error, trace)

    def start(self) -> None:
        """Start every process.

        Raises :class:`GraphError` if one cannot be started, or is not installed; in the second case
        none has been started.
        """
        commands = [command_line(process, self._environment) for process in self._processes]
        for process, words in zip(self._processes, commands, strict=True):
            self._start(process, words)
        self._say(f"started {', '.join(self.running)}")

    def step(self, timeout_s: float | None) -> None:
        """Wait at most ``timeout_s`` (None: without limit) for events, and handle them."""
        for key, _ in self._selector.select(timeout_s):
            key.data()

    def stop(self) -> None:
        """Stop every process in order. A second call does nothing."""
        if self._stopping:
            return
        self._stopping = True
        if self._running:
            self._say(f"stopping {', '.join(self.running)}")
        for order in sorted({child.process.stop_order for child in self._running}):
            self._stop_level(order)

    def _stop_level(self, order: int) -> None:
        stages = (
            (signal.SIGINT, self._grace.interrupt_s),
            (signal.SIGTERM, self._grace.terminate_s),
            (signal.SIGKILL, _KILL_WAIT_S),
        )
        for number, grace_s in stages:
            level = [child for child in self._running if child.process.stop_order == order]
            if number is signal.SIGKILL:
                self.unclean += [f"{child.name} had to be killed" for child in level]
            for child in level:
                if number is not signal.SIGINT:
                    self._say(f"{child.name} is still running; sending {number.name}")
                child.send(number)
            impatient = number is not signal.SIGKILL and not self._grace.patient
            self._wait_for(level, grace_s, impatient=impatient)

    def _wait_for(self, children: Sequence[Child], grace_s: float, *, impatient: bool) -> None:
        """Wait until they end, the grace period is over or, if impatient, a signal arrives."""
        deadline = time.monotonic() + grace_s
        signals_before = self._signals.count
        while any(child in self._running for child in children):
            left_s = deadline - time.monotonic()
            if left_s <= 0.0 or (impatient and self._signals.count > signals_before):
                return
            self.step(left_s)

    def _start(self, process: Process, words: Sequence[str]) -> None:
        environment = {**self._environment, **process.environment}
        try:
            child = Child(process, words, environment)
        except OSError as error:
            raise GraphError(f"cannot start {process.name} ({words[0]}): {error}") from error
        self._running.append(child)
        self._tell_guardian(f"{child.pid} {process.stop_order}\n")
        self._selector.register(child.output, selectors.EVENT_READ, lambda: self._forward(child))
        self._selector.register(child.exited, selectors.EVENT_READ, lambda: self._collect(child))

    def _forward(self, child: Child) -> None:
        if child not in self._running:  # collected earlier in the same step
            return
        lines, ended = child.read_lines()
        for line in lines:
            self._sink(child.name, line)
        if ended:
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.output)

    def _collect(self, child: Child) -> None:
        code = child.reap()
        for line in child.last_lines():
            self._sink(child.name, line)
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.output)
        self._selector.unregister(child.exited)
        child.close()
        self._running.remove(child)
        if self._stopping:
            self._note_end(child, code)
        else:
            self._note_death(child, code)

    def _note_death(self, child: Child, code: int) -> None:
        text = f"{child.name} died: {describe_exit(code)}"
        self._say(text)
        if child.process.critical and self.failure is None:
            self.failure = text

    def _note_end(self, child: Child, code: int) -> None:
        """Report an exit that neither code 0 nor a signal of the supervisor explains."""
        if code not in (0, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL):
            self.unclean.append(f"{child.name} ended with {describe_exit(code)} while stopping")
            self._say(self.unclean[-1])

    def _say(self, text: str) -> None:
        self._sink(OWN_NAME, text)

    def _start_guardian(self) -> None:
        # -I and -S: it starts in milliseconds and needs no package.
        words = [sys.executable, "-I", "-S", str(Path(guardian.__file__))]
        self._guardian = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)

    def _tell_guardian(self, line: str) -> None:
        assert self._guardian is not None
        assert self._guardian.stdin is not None
        try:
            self._guardian.stdin.write(line.encode())
            self._guardian.stdin.flush()
        except BrokenPipeError as error:
            raise GraphError("the guardian process died while the graph was starting") from error

    def _end_guardian(self) -> None:
        if self._guardian is not None:
            self._guardian.communicate()
