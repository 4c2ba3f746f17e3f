"""When the sequential strategy wants the next chunk."""

from __future__ import annotations

import weakref

import numpy as np
from closed_loop import TIMING, Loop
from numpy.typing import NDArray

from pi0_ros.policy.strategy import ChunkTiming, ExecutorProgress, InferenceRequest, Sequential

MS = 1_000_000
FOUR_STEPS = ChunkTiming(horizon=50, execution_steps=16, step_ns=50 * MS, start_timeout_ns=500 * MS)
ROWS = np.zeros((50, 2), dtype=np.float32)


class Plan:
    """A strategy whose chunks are published at once."""

    def __init__(self) -> None:
        self.strategy = Sequential(FOUR_STEPS)
        self.sequence = 0

    def due(self, now_ms: int) -> bool:
        return self.start(now_ms) is not None

    def send(self, now_ms: int) -> NDArray[np.float32]:
        request = self.start(now_ms)
        assert request is not None
        rows = ROWS.copy()
        placed = self.strategy.place(request, rows, now_ms * MS, self.sequence)
        assert placed is not None
        assert placed.stamp_ns == now_ms * MS
        assert placed.frozen_prefix == 0
        self.sequence += 1
        return rows

    def report(
        self,
        now_ms: int,
        steps: int,
        *,
        executing: bool = True,
        sequence: int | None = None,
        refused: int = 0,
    ) -> None:
        self.strategy.report(
            ExecutorProgress(
                stamp_ns=now_ms * MS,
                executing=executing,
                chunk_sequence=self.sequence - 1 if sequence is None else sequence,
                chunk_step=steps - 1,
                steps_consumed=steps,
                chunks_refused=refused,
            )
        )

    def start(self, now_ms: int) -> InferenceRequest | None:
        return self.strategy.request(
            now_ms * MS, prompt="fold", checkpoint_id="robot@1", can_continue=True
        )


def sent(now_ms: int = 0) -> Plan:
    plan = Plan()
    plan.send(now_ms)
    return plan


def test_the_first_chunk_is_due_at_once() -> None:
    assert Plan().due(0)


def test_the_next_chunk_is_due_after_the_execution_steps() -> None:
    plan = sent()
    plan.report(20, 15)
    assert not plan.due(700)
    plan.report(720, 16)
    assert plan.due(720)


def test_progress_of_the_chunk_before_does_not_count() -> None:
    plan = sent()
    plan.report(20, 16)
    plan.send(100)
    plan.report(120, 40, sequence=0)
    assert not plan.due(120)


def test_progress_of_a_chunk_never_sent_does_not_count() -> None:
    plan = sent()
    plan.report(120, 40, sequence=7)
    assert not plan.due(120)


def test_holding_before_the_start_of_the_chunk_is_not_the_end_of_the_chunk() -> None:
    plan = sent()
    plan.report(10, 1, executing=False)
    assert not plan.due(10)


def test_a_chunk_that_stopped_being_executed_is_followed_by_another() -> None:
    plan = sent()
    plan.report(20, 3)
    plan.report(40, 3, executing=False)
    assert plan.due(40)


def test_a_chunk_that_no_executor_starts_is_followed_by_another() -> None:
    plan = sent()
    assert not plan.due(499)
    assert plan.due(500)


def test_a_refused_chunk_is_followed_by_another_at_once() -> None:
    plan = Plan()
    plan.report(10, 0, executing=False, refused=3)
    plan.send(20)
    plan.report(30, 0, executing=False, refused=3)
    assert not plan.due(30)
    plan.report(40, 0, executing=False, refused=4)
    assert plan.due(40)


def test_a_clock_that_jumped_back_does_not_block() -> None:
    assert sent(10_000).due(5)


def test_restart_forgets_what_was_sent() -> None:
    plan = sent()
    plan.strategy.restart()
    assert plan.due(1)


def test_in_closed_loop_every_chunk_starts_from_its_first_row() -> None:
    run = Loop(Sequential(TIMING), [3]).run(200)
    assert len(run.published) == 8
    assert {c.started_at for c in run.published[:-1]} == {0}
    assert run.executor.underruns == 0


def test_chunks_that_no_executor_starts_are_forgotten() -> None:
    plan = Plan()
    chunks = [weakref.ref(rows) for rows in (plan.send(501 * i) for i in range(40))]
    assert sum(chunk() is not None for chunk in chunks) == 16
    plan.report(20_000, 1)
    assert not plan.due(20_000)


def test_a_chunk_being_executed_is_remembered_however_many_are_refused() -> None:
    plan = sent()
    plan.report(20, 16)
    for refused in range(1, 41):
        plan.send(20 + refused)
        plan.report(20 + refused, 16, sequence=0, refused=refused)
    request = plan.start(100)
    assert request is not None and request.executing is not None
    assert (request.executing.sequence, request.steps) == (0, 16)
