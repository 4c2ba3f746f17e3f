"""Loading in the background."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from pi0_ros.policy.errors import IncompatibleError, PolicyError
from pi0_ros.policy.loading import BackgroundLoader, LoadResult
from pi0_ros.policy.policy import Policy
from pi0_ros.policy.types import Chunk, Observation, RemainingActions


class Named:
    """A policy that has only a name."""

    trained = True
    can_continue = False
    image_size = 224

    def __init__(self, checkpoint_id: str) -> None:
        self.checkpoint_id = checkpoint_id

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        raise NotImplementedError


def in_background(loader: BackgroundLoader, path: str) -> Future[LoadResult]:
    """Loads in a daemon thread, so that a call that never returns does not block the test run."""
    answer: Future[LoadResult] = Future()
    threading.Thread(target=lambda: answer.set_result(loader.load(path)), daemon=True).start()
    return answer


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_gives_the_policy_and_how_long_it_took() -> None:
    result = BackgroundLoader(lambda path: Named(f"{path}@1")).load("new")
    assert result.policy is not None
    assert result.policy.checkpoint_id == "new@1"
    assert result.problems == ()
    assert result.message.startswith("loaded new@1 in ")
    assert result.load_s > 0.0


def test_loads_in_a_thread_that_yields_and_leaves_the_caller_as_it_is() -> None:
    seen: list[tuple[int, int]] = []

    def load(path: str) -> Policy:
        seen.append((threading.get_ident(), niceness()))
        # Torch's threads are started by this thread and inherit its priority.
        child = threading.Thread(target=lambda: seen.append((threading.get_ident(), niceness())))
        child.start()
        child.join()
        return Named(path)

    before = niceness()
    BackgroundLoader(load).load("new")
    threads, levels = zip(*seen, strict=True)
    assert threading.get_ident() not in threads
    assert set(levels) == {min(before + 10, 19)}
    assert niceness() == before


@pytest.mark.parametrize(
    ("error", "message", "problems"),
    [
        (PolicyError("no"), "no", ("no",)),
        (IncompatibleError("both: a; b", ("a", "b")), "both: a; b", ("a", "b")),
        (RuntimeError("broken"), "broken", ("broken",)),
        (MemoryError(), "MemoryError()", ("MemoryError()",)),
    ],
)
def test_an_error_becomes_the_reason(
    error: Exception, message: str, problems: tuple[str, ...]
) -> None:
    def load(path: str) -> Policy:
        raise error

    loader = BackgroundLoader(load)
    result = loader.load("bad")
    assert (result.policy, result.message, result.problems) == (None, message, problems)
    assert loader.loading is None


def test_a_thread_that_may_not_yield_becomes_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not in this container")

    monkeypatch.setattr(os, "setpriority", refuse)
    loader = BackgroundLoader(Named)
    assert in_background(loader, "new").result(20.0).message == "not in this container"
    assert loader.loading is None


class NextLoadFirst(threading.Condition):
    """Starts the next load before the caller of the finished one can wake up."""

    def __init__(self) -> None:
        super().__init__()
        self.loader = BackgroundLoader(self._load)
        self.loader._condition = self
        self.begun = threading.Event()
        self.second: Future[LoadResult] | None = None

    def notify_all(self) -> None:
        if self.second is None:
            self.second = in_background(self.loader, "second")
            self.release()
            self.begun.wait(20.0)
            self.acquire()
        super().notify_all()

    def _load(self, path: str) -> Policy:
        if path == "second":
            self.begun.set()
        return Named(path)


def test_a_load_that_begins_as_another_ends_does_not_take_its_result() -> None:
    condition = NextLoadFirst()
    first = in_background(condition.loader, "first").result(10.0)
    assert condition.second is not None
    second = condition.second.result(10.0)
    assert first.message.startswith("loaded first in ")
    assert second.message.startswith("loaded second in ")


class Held:
    """A load that has begun in another thread and waits for ``go_on``."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.loader = BackgroundLoader(self._load)
        self.pool = ThreadPoolExecutor(1)
        self.result = self.pool.submit(self.loader.load, "slow")
        assert self.begun.wait(20.0)

    def _load(self, path: str) -> Policy:
        self.begun.set()
        self.go_on.wait(20.0)
        return Named(path)


def test_refuses_a_second_load_at_once_and_says_which_runs() -> None:
    held = Held()
    assert held.loader.loading == "slow"
    second = held.loader.load("other")
    assert second.policy is None
    assert second.message == "busy loading slow; try again when it is done"
    held.go_on.set()
    first = held.result.result(20.0).policy
    assert first is not None and first.checkpoint_id == "slow"
    assert held.loader.load("third").policy is not None


def test_closing_answers_the_waiting_caller_and_drops_what_was_loaded() -> None:
    held = Held()
    assert not held.loader.close(0.01)
    dropped = held.result.result(20.0)
    assert dropped.policy is None
    assert dropped.message == "the policy is shutting down"
    held.go_on.set()
    assert held.loader.close(20.0)
    assert held.loader.load("later").message == "the policy is shutting down"
