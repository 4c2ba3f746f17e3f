"""The thread that runs inferences."""

from __future__ import annotations

import threading

from pi0_ros.policy.worker import Worker


def test_a_busy_worker_takes_no_second_job() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work(job: int) -> None:
        begun.set()
        go_on.wait(10.0)
        done.append(job)

    worker = Worker(work, name="test")
    assert worker.submit(1)
    begun.wait(10.0)
    assert worker.busy
    assert not worker.submit(2)
    go_on.set()
    assert worker.close(10.0)
    assert done == [1]


def test_works_in_a_thread_of_its_own() -> None:
    names: list[str] = []
    seen = threading.Event()

    def work(_: int) -> None:
        names.append(threading.current_thread().name)
        seen.set()

    worker = Worker(work, name="inference")
    worker.submit(1)
    assert seen.wait(10.0)
    assert worker.close(10.0)
    assert names == ["inference"]


def test_close_waits_for_the_running_job_and_takes_no_more() -> None:
    worker: Worker[int] = Worker(lambda job: None, name="test")
    assert worker.close(10.0)
    assert not worker.submit(1)


def test_close_says_when_the_job_does_not_end_in_time() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(_: int) -> None:
        begun.set()
        go_on.wait(10.0)

    worker = Worker(work, name="test")
    worker.submit(1)
    begun.wait(10.0)
    assert not worker.close(0.01)
    go_on.set()
    assert worker.close(10.0)
