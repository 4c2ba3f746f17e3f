"""The recorder that ``pi0 record`` starts when none is running."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from types import TracebackType

from pi0_ros.graph.declaration import Process
from pi0_ros.graph.supervisor import GracePeriods, Supervisor
from pi0_ros.system.stop_signals import StopSignals

#: Writing an episode to its end takes time, which a second Ctrl-C does not cut short.
_GRACE = GracePeriods(interrupt_s=60.0, terminate_s=0.0, patient=True)
_LINES = 20


class OwnRecorder:
    """Starts the process in :meth:`start`; leaving the context stops it.

    The calling program owns ``signals``.
    """

    def __init__(
        self, process: Process, signals: StopSignals | None = None, grace: GracePeriods = _GRACE
    ) -> None:
        self._lines: list[str] = []
        self._supervisor = Supervisor((process,), self._keep, grace=grace, signals=signals)
        self._stack = ExitStack()
        self._started = False

    @property
    def ended(self) -> bool:
        """Whether the recorder has ended; false if none was started."""
        return self._started and not self._supervisor.running

    def start(self) -> None:
        """Start it. Raises :class:`~pi0_ros.graph.options.GraphError` if it is not installed."""
        self._stack.enter_context(self._supervisor)
        self._supervisor.start()
        self._started = True

    def poll(self) -> None:
        """Read its output and notice its end. Call this often: a full pipe would block it."""
        if self._started:
            self._supervisor.step(0.0)

    def lines(self) -> list[str]:
        """The last lines of its output."""
        return list(self._lines)

    def _keep(self, _name: str, text: str) -> None:
        self._lines.append(text)
        del self._lines[:-_LINES]

    def __enter__(self) -> OwnRecorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        for problem in self._supervisor.unclean:
            sys.stderr.write(f"pi0: {problem}; `pi0 bag repair` finishes its last episode\n")
