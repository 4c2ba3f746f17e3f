"""Real-time chunking in closed loop with the executor, in simulated time."""

from __future__ import annotations

import numpy as np
import pytest
from closed_loop import PERIOD_NS, RATES, TIMING, Loop

from pi0_ros.control import ExecutorState
from pi0_ros.policy.options import RtcOptions
from pi0_ros.policy.strategy import RealTimeChunking

GUESS = RATES.execution_steps // 2


def loop(*delays: int) -> Loop:
    return Loop(RealTimeChunking(TIMING, RtcOptions()), list(delays))


def continued(a_loop: Loop) -> list[int | None]:
    """Delay each chunk was told, None for those that continue nothing."""
    return [
        None if c.request.remaining is None else c.request.remaining.delay for c in a_loop.published
    ]


@pytest.mark.parametrize("delay", [0, 2, 6, 12])
def test_each_chunk_continues_the_one_before_at_the_step_that_is_due(delay: int) -> None:
    run = loop(delay).run(300)
    assert continued(run)[:5] == [None, GUESS, delay, delay, delay]
    for before, after in zip(run.published, run.published[1:], strict=False):
        assert after.request.executing is not None
        assert after.request.executing.sequence == before.sequence
        steps = after.request.steps
        assert steps == RATES.execution_steps
        assert after.placed.stamp_ns == before.placed.stamp_ns + steps * TIMING.step_ns
        assert after.request.remaining is not None
        assert np.array_equal(after.request.remaining.actions, before.placed.actions[steps:])
        assert after.placed.frozen_prefix == after.request.remaining.delay
    assert [c.started_at for c in run.published[:-1]] == [0] + [delay] * (len(run.published) - 2)
    assert run.executor.underruns == 0
    assert not run.executor.hits[1:].any()
    # After the start from rest, the ramp continues as if there were only one chunk. The values are
    # equal to the last bit, except where a fade reaches the end of a chunk and slows down.
    moving = np.array([t.command[0] for t in run.ticks if t.state is ExecutorState.EXECUTING])
    assert np.diff(moving[30:]) == pytest.approx(1e-3, abs=1e-7 if delay <= 6 else 3e-5)


@pytest.mark.parametrize("cold", [0, 21, 60])
def test_from_standstill_no_action_is_skipped_however_long_the_first_inference_took(
    cold: int,
) -> None:
    run = loop(cold, 2).run_until(lambda run: continued_chunks(run) >= 3)
    first = run.published[0]
    assert first.request.remaining is None
    assert first.placed.frozen_prefix == 0
    assert first.started_at == 0
    executed = [t.step for t in run.ticks if t.chunk is not None and t.chunk.sequence == 0]
    assert executed[: RATES.execution_steps] == list(range(RATES.execution_steps))
    assert continued(run)[1:4] == [GUESS, 2, 2]


def continued_chunks(run: Loop) -> int:
    return sum(delay is not None for delay in continued(run))


def test_one_slow_inference_counts_for_ten_and_is_forgotten() -> None:
    run = loop(0, 2, 2, 10, 2).run_until(lambda run: len(run.published) > 16)
    assert continued(run) == [None, GUESS, 2, 2, *[10] * 10, 2, 2, 2]
    assert run.executor.underruns == 0


def test_a_growing_delay_is_told_to_the_next_inference() -> None:
    run = loop(0, 1, 3, 5, 8, 12).run_until(lambda run: len(run.published) > 6)
    assert continued(run) == [None, GUESS, 1, 3, 5, 8, 12]


def test_starts_earlier_where_the_rest_of_the_chunk_would_not_outlast_the_delay() -> None:
    run = loop(0, 2, 40, 2).run_until(lambda run: run.lost == 1)
    run.run_until(lambda run: len(run.published) == 4)
    # Of 50 steps, 40 remain for the delay and one for the executor.
    assert run.newest.request.steps == TIMING.horizon - 1 - 40
    assert continued(run)[-1] == 40


def test_after_a_hold_the_next_chunk_begins_at_its_first_row_and_measures_nothing() -> None:
    run = loop(0, 2).run(120)
    count = len(run.published)
    run.executor.hold("operator")
    run.run_until(lambda run: len(run.published) > count)
    assert run.newest.request.executing is None
    assert run.newest.placed.stamp_ns == run.published_ns
    run.run_until(lambda run: len(run.published) > count + 2)
    assert run.published[count].started_at == 0
    assert continued(run)[count:] == [None, 2, 2]


def test_a_chunk_for_a_robot_that_stopped_meanwhile_is_dropped_and_the_next_starts_at_row_0() -> (
    None
):
    run = loop(0, 6).run_until(lambda run: len(run.published) == 3)
    run.run_until(lambda run: run.inferring)
    run.executor.hold("operator")
    run.run_until(lambda run: run.lost == 1)
    run.run_until(lambda run: len(run.published) == 4)
    assert run.newest.request.remaining is None
    run.step()
    assert run.newest.started_at == 0
    values = run.strategy.values()
    assert values["chunks_dropped"] == "1"
    assert values["without guidance: the executor stopped executing meanwhile"] == "1"
    assert "delays_measured_steps" in values
    assert values["delays_measured_steps"] == "6 6"  # and nothing of the hold


def test_an_inference_that_outlasts_its_chunk_is_dropped_and_measured_by_the_executor() -> None:
    run = loop(0, 2, 40, 0, 10).run_until(lambda run: run.lost == 1)
    assert run.ticks[-1].state is ExecutorState.HOLDING
    assert run.strategy.values()["delays_measured_steps"] == "2 40"


def test_a_delay_longer_than_the_remaining_steps_falls_back_to_sequential_chunks() -> None:
    run = loop(0, 40).run_until(lambda run: len(run.published) > 8, limit=3000)
    assert run.lost == 1
    reason = "without guidance: the delay exceeds the remaining steps of the chunk"
    assert int(run.strategy.values()[reason]) >= 3


def test_a_chunk_without_guidance_is_measured_too_so_that_a_long_delay_is_forgotten() -> None:
    run = loop(0, *[40] * 8, 2).run_until(lambda run: len(run.published) > 40, limit=5000)
    assert continued(run)[-10:] == [2] * 10


def test_a_refused_chunk_is_followed_by_another_that_continues_what_is_executed() -> None:
    run = loop(0, 2).run_until(lambda run: len(run.published) == 3)
    run.refuse_next = True
    run.run_until(lambda run: len(run.published) == 4)
    assert run.newest.refused
    run.run_until(lambda run: len(run.published) == 5)
    again = run.newest.request
    assert again.executing is not None
    assert again.executing.sequence == 2
    assert run.executor.underruns == 0


def test_an_executor_that_restarts_gets_a_chunk_from_its_first_row() -> None:
    run = loop(0, 6).run_until(lambda run: len(run.published) == 3)
    run.run_until(lambda run: run.inferring)
    run.restart_executor()
    run.run_until(lambda run: len(run.published) == 4)
    assert run.lost == 1
    assert run.newest.request.remaining is None
    run.run(3)
    assert run.newest.started_at == 0


def test_after_a_clock_jump_back_the_next_chunk_continues_nothing() -> None:
    run = loop(0, 6).run_until(lambda run: len(run.published) == 3)
    run.run_until(lambda run: run.inferring)
    run.now_ns -= 5 * 10**9
    run.run_until(lambda run: len(run.published) == 4)
    assert run.lost == 1
    assert run.newest.request.remaining is None
    run.run(120)
    assert run.newest.request.remaining is not None
    assert run.executor.underruns == 0


def test_a_clock_that_jumps_ahead_ends_the_chunk_and_the_next_starts_at_row_0() -> None:
    run = loop(0, 6).run_until(lambda run: len(run.published) == 3)
    run.run_until(lambda run: run.inferring)
    run.now_ns += 5 * 10**9
    run.run_until(lambda run: len(run.published) == 4)
    assert run.newest.request.remaining is None
    run.run(2)
    assert run.newest.started_at == 0
    assert max(map(int, run.strategy.values()["delays_measured_steps"].split())) == 6


def test_deactivation_drops_the_inference_that_runs() -> None:
    run = loop(0, 6).run_until(lambda run: len(run.published) == 3)
    run.run_until(lambda run: run.inferring)
    run.strategy.restart()
    run.run_until(lambda run: run.lost == 1)
    run.run_until(lambda run: len(run.published) == 4)
    assert run.newest.request.remaining is None


@pytest.mark.parametrize("change", [{"prompt": "unfold"}, {"checkpoint_id": "robot@2"}])
def test_a_new_prompt_or_checkpoint_is_not_guided_by_the_old_one(change: dict[str, str]) -> None:
    run = loop(0, 2).run_until(lambda run: len(run.published) == 3)
    for name, value in change.items():
        setattr(run, name, value)
    run.run_until(lambda run: len(run.published) == 6)
    assert continued(run)[3:] == [None, 2, 2]
    assert run.strategy.values()["without guidance: the prompt or the checkpoint changed"] == "1"


def test_a_backend_that_cannot_continue_is_asked_for_plain_chunks() -> None:
    run = loop(0, 2)
    run.can_continue = False
    run.run_until(lambda run: len(run.published) == 4)
    assert continued(run) == [None] * 4
    assert run.executor.underruns == 0


def test_says_what_it_does() -> None:
    run = loop(0, 2).run(120)
    values = run.strategy.values()
    assert values["strategy"] == "rtc"
    assert values["rtc_mode"] == "guided"
    assert values["delay_used_steps"] == "2"
    assert set(values["delays_measured_steps"].split()) == {"2"}
    assert values["guidance_fallbacks"] == "0"


def test_twice_the_same_gives_the_same_to_the_last_bit() -> None:
    runs = [loop(0, 3, 9, 1, 4).run(400) for _ in range(2)]
    first, second = (np.array([t.command for t in run.ticks]) for run in runs)
    assert np.array_equal(first, second, equal_nan=True)
    assert PERIOD_NS == 20_000_000
