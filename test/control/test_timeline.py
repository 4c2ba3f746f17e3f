"""Setpoints between the steps, and across a splice."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import MS, embodiment

from pi0_ros.control.chunk import ActionChunk
from pi0_ros.control.timeline import Blend, Setpoint, Timeline

LIMITS = embodiment().limits


def _timeline(rows, step_ms: int = 20, stamp_ns: int = 0) -> Timeline:
    actions = np.asarray(rows, dtype=np.float64)
    return Timeline(
        ActionChunk(
            stamp_ns=stamp_ns,
            step_ns=step_ms * MS,
            names=tuple("abcd"[: actions.shape[1]]),
            actions=actions,
            observation_stamp_ns=0,
            sequence=0,
            source_id="a",
            checkpoint_id="tiny",
        )
    )


def test_every_step_is_passed_through_at_its_time():
    rows = np.random.default_rng(0).normal(size=(8, 2))
    timeline = _timeline(rows)
    for k, row in enumerate(rows):
        assert timeline.sample(k * 20 * MS).position == pytest.approx(row)
        assert timeline.step_at(k * 20 * MS) == k


def test_a_straight_line_stays_straight_between_50_ms_steps():
    timeline = _timeline([[0.0], [0.1], [0.2], [0.3]], step_ms=50)
    for ms in (20, 40, 60, 110, 140):
        setpoint = timeline.sample(ms * MS)
        assert setpoint.position == pytest.approx([ms * 0.002])
        assert setpoint.rate == pytest.approx([2.0])


def test_position_and_rate_are_continuous_at_the_steps():
    rows = np.random.default_rng(1).normal(size=(8, 2))
    timeline = _timeline(rows)
    for k in range(1, 7):
        before, after = timeline.sample(k * 20 * MS - 1), timeline.sample(k * 20 * MS + 1)
        assert before.position == pytest.approx(after.position, abs=1e-5)
        assert before.rate == pytest.approx(after.rate, abs=1e-3)


def test_rate_is_the_derivative_of_position():
    timeline = _timeline(np.random.default_rng(2).normal(size=(6, 1)))
    for ms in (3, 27, 55, 91):
        ahead, behind = timeline.sample(ms * MS + 10), timeline.sample(ms * MS - 10)
        assert timeline.sample(ms * MS).rate == pytest.approx(
            (ahead.position - behind.position) / 20e-9, rel=1e-4
        )


def test_outside_the_chunk_the_end_rows_stand_still():
    timeline = _timeline([[1.0], [2.0], [3.0]])
    assert timeline.sample(-1).position.tolist() == [1.0]
    assert timeline.sample(41 * MS).position.tolist() == [3.0]
    assert timeline.sample(41 * MS).rate.tolist() == [0.0]
    assert (timeline.step_at(-1), timeline.step_at(500 * MS)) == (0, 2)


def test_a_chunk_of_one_step_is_that_step():
    assert _timeline([[1.0, 2.0]]).sample(0).position.tolist() == [1.0, 2.0]


def _blend(gap, rate_gap) -> Blend:
    return Blend(0, np.asarray(gap), np.asarray(rate_gap), LIMITS, 0.1)


def test_a_blend_begins_at_the_commanded_position_and_rate_and_ends_at_the_chunks():
    blend = _blend([0.3, -0.1, 0.0, 0.2], [1.0, 0.0, -0.5, 0.0])
    still = Setpoint(np.zeros(4), np.zeros(4))
    first, last = blend.add_to(still, 0), blend.add_to(still, blend.end_ns)
    assert first.position == pytest.approx([0.3, -0.1, 0.0, 0.2])
    assert first.rate == pytest.approx([1.0, 0.0, -0.5, 0.0])
    assert last.position == pytest.approx(np.zeros(4), abs=1e-12)
    assert last.rate == pytest.approx(np.zeros(4), abs=1e-12)


def test_a_blend_keeps_within_velocity_and_acceleration_by_its_duration():
    blend = _blend([2.0, -0.01, 1.0, 0.4], [0.0, 1.5, 0.0, -0.5])
    still = Setpoint(np.zeros(4), np.zeros(4))
    times = np.arange(0, blend.end_ns, MS)
    rates = np.array([blend.add_to(still, int(t)).rate for t in times])
    assert (np.abs(rates) <= LIMITS.velocity).all()
    assert (np.abs(np.diff(rates, axis=0) / 1e-3) <= LIMITS.acceleration).all()


def test_a_small_difference_is_blended_over_the_shortest_time():
    assert _blend([1e-4] * 4, [0.0] * 4).durations_s == pytest.approx([0.1] * 4)
