"""Load a policy in the background, without slowing down the one that serves."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pi0_ros.policy.errors import IncompatibleError
from pi0_ros.policy.policy import Policy

# Added to the process's own niceness: the load gets a tenth of the CPU where threads compete.
# With a higher value, a load that holds the interpreter's lock would wait too long for its turn.
_NICENESS = 10
_LEAST_URGENT = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """A policy that was loaded, fits the robot and was tried out; otherwise the ``problems``.

    ``message`` is a summary in one line; ``load_s`` is the duration [s].
    """

    policy: Policy | None
    message: str
    problems: tuple[str, ...] = ()
    load_s: float = 0.0


class BackgroundLoader:
    """Runs one load at a time, in a thread of low priority.

    ``load(path)`` returns a policy that has computed a finite chunk, or raises. The threads that it
    starts have the same low priority.
    """

    def __init__(self, load: Callable[[str], Policy]) -> None:
        self._load = load
        self._condition = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._path: str | None = None

    @property
    def loading(self) -> str | None:
        """The path that is being loaded, if any."""
        return self._path

    def load(self, path: str) -> LoadResult:
        """Load and wait; refuses at once while another load runs, and after :meth:`close`."""
        with self._condition:
            if self._closing:
                return _refusal("the policy is shutting down")
            if self._path is not None:
                return _refusal(f"busy loading {self._path}; try again when it is done")
            self._path = path
            # A list per call: when this call wakes up, the next load may already run.
            results: list[LoadResult] = []
            self._thread = threading.Thread(
                target=self._run, args=(path, results), name="checkpoint-load", daemon=True
            )
            self._thread.start()
            self._condition.wait_for(lambda: self._closing or results)
            if self._closing:
                return _refusal("the policy is shutting down")
            return results[0]

    def close(self, timeout_s: float) -> bool:
        """Drop a running load and wait for its thread; false if it did not end in time."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _run(self, path: str, results: list[LoadResult]) -> None:
        result = _attempt(self._load, path)
        with self._condition:
            self._path = None
            results.append(result)
            self._condition.notify_all()


def yield_to_others() -> None:
    """Lower the priority of this thread and of the threads that it will start."""
    # The process may have real-time priority, and niceness only counts for ordinary threads.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    thread = threading.get_native_id()
    niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
    os.setpriority(os.PRIO_PROCESS, thread, min(niceness, _LEAST_URGENT))


def _attempt(load: Callable[[str], Policy], path: str) -> LoadResult:
    began_s = time.monotonic()
    try:
        yield_to_others()
        policy = load(path)
    except IncompatibleError as error:
        return _refusal(str(error), error.problems, time.monotonic() - began_s)
    except (
        Exception
    ) as error:  # a broken file may raise anything, and the other policy must keep serving
        return _refusal(str(error) or repr(error), (), time.monotonic() - began_s)
    load_s = time.monotonic() - began_s
    return LoadResult(
        policy=policy, message=f"loaded {policy.checkpoint_id} in {load_s:.1f} s", load_s=load_s
    )


def _refusal(message: str, problems: tuple[str, ...] = (), load_s: float = 0.0) -> LoadResult:
    return LoadResult(policy=None, message=message, problems=problems or (message,), load_s=load_s)
