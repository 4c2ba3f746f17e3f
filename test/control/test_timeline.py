"""Setpoints between the steps of one chunk."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import MS
from timelines import assert_derivatives, timeline


def test_every_step_is_passed_through_at_its_time_until_the_run_out():
    rows = np.random.default_rng(0).normal(size=(8, 2))
    chunk = timeline(rows)
    for k, row in enumerate(rows[:6]):
        assert chunk.sample(k * 20 * MS)[0] == pytest.approx(row)
        assert chunk.step_at(k * 20 * MS) == k


def test_a_straight_line_stays_straight_between_50_ms_steps():
    chunk = timeline([[0.0], [0.1], [0.2], [0.3], [0.4], [0.5]], step_ms=50)
    for ms in (20, 40, 60, 110, 140):
        assert chunk.sample(ms * MS)[:, 0] == pytest.approx([ms * 0.002, 2.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("step_ms", [20, 50])
def test_velocity_and_acceleration_are_the_derivatives_of_position(step_ms):
    chunk = timeline(np.random.default_rng(2).normal(size=(9, 2)), step_ms)
    assert_derivatives(chunk.sample, (np.arange(2, 200) * 1.07e-2 * 8 * step_ms * MS).astype(int))


def test_the_last_row_is_reached_at_rest_and_never_overshot():
    chunk = timeline(np.linspace(0.0, 1.0, 50)[:, None])
    end_ns = chunk.chunk.end_ns + 200 * MS
    assert chunk.end_ns == end_ns
    path = np.array([chunk.sample(t)[:, 0] for t in range(0, end_ns + 100 * MS, MS)])
    assert (np.diff(path[:, 0]) >= -1e-12).all()
    assert path[-1].tolist() == pytest.approx([1.0, 0.0, 0.0])
    assert np.abs(path[:, 2]).max() <= 1.5 * path[0, 1] / 0.4 + 1e-9


def test_a_short_chunk_runs_out_over_a_quarter_of_it_at_most():
    assert timeline(np.zeros((5, 1))).end_ns == (80 + 20) * MS


def test_outside_the_chunk_the_end_rows_stand_still():
    chunk = timeline([[1.0], [2.0], [3.0]])
    assert chunk.sample(-1)[:, 0].tolist() == [1.0, 0.0, 0.0]
    assert chunk.sample(500 * MS)[:, 0].tolist() == [3.0, 0.0, 0.0]
    assert (chunk.step_at(-1), chunk.step_at(500 * MS)) == (0, 2)


def test_a_chunk_of_one_step_is_that_step_for_one_step():
    chunk = timeline([[1.0, 2.0]])
    assert chunk.sample(0).tolist() == [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    assert chunk.end_ns == 20 * MS
