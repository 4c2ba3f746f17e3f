"""Load a policy beside the one that serves, without getting in its way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pi0_ros.policy.errors import IncompatibleError
from pi0_ros.policy.policy import Policy

# Added to the process's own niceness: a tenth of the CPU where threads compete.
# More would let a load that holds the interpreter's lock wait long for its turn.
_NICENESS = 10
_LEAST_URGENT = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """A policy that loaded, fits and was tried out, or else the ``problems``.

    ``message`` says it in one line; ``load_s`` is the time it took [s].
    """

    policy: Policy | None
    message: str
    problems: tuple[str, ...] = ()
    load_s: float = 0.0


class BackgroundLoader:
    """One load at a time, in a thread of its own that yields to every other.

    ``load(path)`` gives a policy that has computed a finite chunk, or raises; it runs
    at low priority, and so does every thread it starts.
    """

    def __init__(self, load: Callable[[str], Policy]) -> None:
        self._load = load
        self._condition = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._path: str | None = None

    @property
    def loading(self) -> str | None:
        """What is being loaded now."""
        return self._path

    def load(self, path: str) -> LoadResult:
        """Load and wait for it; refused at once while another load runs or after :meth:`close`."""
        with self._condition:
            if self._closing:
                return _refusal("the policy is shutting down")
            if self._path is not None:
                return _refusal(f"busy loading {self._path}; try again when it is done")
            self._path = path
            # Of this call alone: when it wakes, the next load may be running.
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
        """Drop a load that runs and wait for its thread; false if it did not end in time."""
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
    """Give this thread, and those it will start, what CPU time the others leave."""
    # Of a process with real-time priority: niceness counts among ordinary threads only.
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
    except Exception as error:  # a broken file may raise anything: the other policy goes on
        return _refusal(str(error) or repr(error), (), time.monotonic() - began_s)
    load_s = time.monotonic() - began_s
    return LoadResult(
        policy=policy, message=f"loaded {policy.checkpoint_id} in {load_s:.1f} s", load_s=load_s
    )


def _refusal(message: str, problems: tuple[str, ...] = (), load_s: float = 0.0) -> LoadResult:
    return LoadResult(policy=None, message=message, problems=problems or (message,), load_s=load_s)
