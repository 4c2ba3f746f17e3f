"""Averages over overlapping chunks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from closed_loop import TIMING, A, Loop
from numpy.typing import NDArray

from pi0_ros.policy.strategy import EnsembleOptions, InferenceRequest, TemporalEnsemble

DECAY = 0.5


class Counting:
    """A network whose chunks hold its number in every row."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _start: InferenceRequest, _position: float) -> NDArray[np.float32]:
        self.calls += 1
        return np.full((TIMING.horizon, A), 0.01 * self.calls, dtype=np.float32)


def loop(*delays: int) -> Loop:
    return Loop(
        TemporalEnsemble(TIMING, EnsembleOptions(decay=DECAY)), list(delays), network=Counting()
    )


def weighted(*numbers: int) -> float:
    """Oldest first, number i weighing exp(-decay i)."""
    weights = [math.exp(-DECAY * i) for i in range(len(numbers))]
    return 0.01 * sum(w * n for w, n in zip(weights, numbers, strict=True)) / sum(weights)


def test_infers_as_often_as_it_can() -> None:
    run = loop(2).run(100)
    # An inference takes three steps, and the executor reports the start one step later.
    assert len(run.published) >= 100 / 4 - 1


def test_rows_are_averaged_over_the_chunks_that_cover_their_time_oldest_heaviest() -> None:
    run = loop(4).run_until(lambda run: len(run.published) == 3)
    first, second, third = (c.placed for c in run.published)
    step = (second.stamp_ns - first.stamp_ns) // TIMING.step_ns
    late = (third.stamp_ns - first.stamp_ns) // TIMING.step_ns
    assert 0 < step < late
    assert first.actions[:, 0] == pytest.approx(0.01)
    overlap = TIMING.horizon - step
    assert second.actions[:overlap, 0] == pytest.approx(weighted(1, 2))
    assert second.actions[overlap:, 0] == pytest.approx(0.02)
    ends = TIMING.horizon - late, TIMING.horizon - (late - step)
    assert third.actions[: ends[0], 0] == pytest.approx(weighted(1, 2, 3))
    assert third.actions[ends[0] : ends[1], 0] == pytest.approx(weighted(2, 3))
    assert third.actions[ends[1] :, 0] == pytest.approx(0.03)


def test_forgets_chunks_that_are_over() -> None:
    run = loop(9).run(300)
    averaged = int(run.strategy.values()["chunks_averaged"])
    assert averaged == math.ceil(TIMING.horizon / 10)


@pytest.mark.parametrize("change", [{"prompt": "unfold"}, {"checkpoint_id": "robot@2"}])
def test_a_new_prompt_or_checkpoint_is_not_averaged_with_the_old_one(
    change: dict[str, str],
) -> None:
    run = loop(4).run_until(lambda run: len(run.published) == 3)
    for name, value in change.items():
        setattr(run, name, value)
    run.run_until(lambda run: run.newest.request.prompt == run.prompt and len(run.published) == 4)
    assert run.newest.placed.actions[:, 0] == pytest.approx(0.04)
    assert run.newest.placed.stamp_ns == run.published_ns


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_prompt_that_comes_back_is_not_averaged_with_what_was_before_or_between(
    refusals: int,
) -> None:
    run = loop(4).run_until(lambda run: len(run.published) == 3 and not run.inferring)
    run.prompt, run.refuse_next = "unfold", True
    run.run_until(lambda run: run.newest.request.prompt == "unfold")
    assert run.newest.refused
    run.prompt, run.refuse_next = "fold", refusals == 2
    run.run_until(lambda run: run.newest.request.prompt == "fold" and len(run.published) == 5)
    assert run.newest.refused == (refusals == 2)
    if run.newest.refused:
        run.run_until(lambda run: len(run.published) == 6)
    number = 0.01 * len(run.published)
    assert run.newest.request.executing is not None
    assert run.newest.placed.actions[:, 0] == pytest.approx(number)
    assert run.newest.placed.stamp_ns == run.published_ns
    run.run_until(lambda run: run.newest.request.continues)
    again = 0.01 * len(run.published)
    assert number < run.newest.placed.actions[0, 0] < again


def test_an_inference_of_another_prompt_ends_the_average_even_if_it_fails() -> None:
    strategy = TemporalEnsemble(TIMING, EnsembleOptions(decay=DECAY))
    run = Loop(strategy, [4], network=Counting()).run_until(lambda run: len(run.published) == 3)
    run.run_until(lambda run: run.newest.started_at is not None)
    common = {"checkpoint_id": run.checkpoint_id, "can_continue": True}
    assert strategy.request(run.now_ns, prompt="unfold", **common) is not None
    back = strategy.request(run.now_ns, prompt=run.prompt, **common)
    assert back is not None
    assert not back.continues


def test_after_a_hold_the_next_chunk_stands_alone_from_its_first_row() -> None:
    run = loop(4).run_until(lambda run: len(run.published) == 3)
    run.run_until(lambda run: not run.inferring or len(run.published) > 3)
    run.executor.hold("operator")
    count = len(run.published)
    run.run_until(lambda run: len(run.published) > count)
    assert not run.newest.request.continues
    assert len(set(run.newest.placed.actions[:, 0].tolist())) == 1
    run.step()
    assert run.newest.started_at == 0
