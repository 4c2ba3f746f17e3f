"""When the next chunk is due."""

from __future__ import annotations

from pi0_ros.policy.strategy import Progress, SequentialStrategy

MS = 1_000_000
ID = "robot@1234"


def strategy() -> SequentialStrategy:
    return SequentialStrategy(execution_steps=16, uptake_ns=500 * MS)


def progress(
    now_ms: int,
    steps: int,
    *,
    executing: bool = True,
    sequence: int = 0,
    checkpoint_id: str = ID,
) -> Progress:
    return Progress(
        stamp_ns=now_ms * MS,
        executing=executing,
        chunk_sequence=sequence,
        checkpoint_id=checkpoint_id,
        steps_consumed=steps,
    )


def test_the_first_chunk_is_due_at_once() -> None:
    assert strategy().due(0)


def test_the_next_chunk_is_due_after_the_execution_steps() -> None:
    plan = strategy()
    plan.sent(0, 0, ID)
    plan.report(progress(20, 15))
    assert not plan.due(700 * MS)
    plan.report(progress(720, 16))
    assert plan.due(720 * MS)


def test_progress_of_the_chunk_before_does_not_count() -> None:
    plan = strategy()
    plan.sent(1, 100 * MS, ID)
    plan.report(progress(120, 40, sequence=0))
    assert not plan.due(120 * MS)


def test_progress_of_another_checkpoint_does_not_count() -> None:
    plan = strategy()
    plan.sent(0, 100 * MS, ID)
    plan.report(progress(120, 40, checkpoint_id="robot@other"))
    assert not plan.due(120 * MS)


def test_a_report_from_before_the_chunk_does_not_count() -> None:
    plan = strategy()
    plan.sent(0, 100 * MS, ID)
    plan.report(progress(90, 40))
    assert not plan.due(120 * MS)


def test_holding_before_the_uptake_is_not_the_end_of_the_chunk() -> None:
    plan = strategy()
    plan.sent(0, 0, ID)
    plan.report(progress(10, 0, executing=False))
    assert not plan.due(10 * MS)


def test_a_chunk_that_stopped_being_executed_is_followed_by_another() -> None:
    plan = strategy()
    plan.sent(0, 0, ID)
    plan.report(progress(20, 3))
    plan.report(progress(40, 3, executing=False))
    assert plan.due(40 * MS)


def test_a_chunk_nobody_takes_up_is_followed_by_another() -> None:
    plan = strategy()
    plan.sent(0, 0, ID)
    assert not plan.due(499 * MS)
    assert plan.due(500 * MS)


def test_a_clock_that_jumped_back_does_not_block() -> None:
    plan = strategy()
    plan.sent(0, 10_000 * MS, ID)
    assert plan.due(5 * MS)


def test_restart_forgets_what_was_sent() -> None:
    plan = strategy()
    plan.sent(0, 0, ID)
    plan.restart()
    assert plan.due(1 * MS)
