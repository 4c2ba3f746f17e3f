"""A thread that runs one function on one job at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

JobT = TypeVar("JobT")


class Worker(Generic[JobT]):
    """Runs ``work(job)`` in a thread; accepts a job only while idle, so that no queue forms.

    ``work`` must handle its own errors: an exception ends the thread.
    """

    def __init__(self, work: Callable[[JobT], None], *, name: str) -> None:
        self._work = work
        self._job: JobT | None = None
        self._closing = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a job is waiting or running."""
        with self._condition:
            return self._job is not None

    def submit(self, job: JobT) -> bool:
        """Start the job if idle; false if busy or closed."""
        with self._condition:
            if self._job is not None or self._closing:
                return False
            self._job = job
            self._condition.notify()
            return True

    def close(self, timeout_s: float) -> bool:
        """Accept no more jobs and wait for the running one; false if it did not end in time."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closing or self._job is not None)
                if self._closing:
                    return
                job = self._job
            try:
                if job is not None:
                    self._work(job)
            finally:
                with self._condition:
                    self._job = None
