"""Setpoints between the steps, and across a splice."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import MS, embodiment

from pi0_ros.control.chunk import ActionChunk
from pi0_ros.control.timeline import Blend, Timeline

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


def _blend(position, velocity, chunk: Timeline) -> Blend:
    return Blend(0, np.asarray(position), np.asarray(velocity), chunk, LIMITS, 0.1)


def _standing(steps: int = 200) -> Timeline:
    return _timeline(np.zeros((steps, 4)))


def test_a_blend_begins_at_the_commanded_position_and_velocity_and_ends_on_the_chunk():
    chunk = _standing()
    blend = _blend([0.3, -0.1, 0.0, 0.2], [1.0, 0.0, -0.5, 0.0], chunk)
    first = blend.fade(chunk.sample(0), 0)
    last = blend.fade(chunk.sample(blend.end_ns), blend.end_ns)
    assert first.position == pytest.approx([0.3, -0.1, 0.0, 0.2])
    assert first.rate == pytest.approx([1.0, 0.0, -0.5, 0.0])
    assert last.position == pytest.approx(np.zeros(4), abs=1e-12)
    assert last.rate == pytest.approx(np.zeros(4), abs=1e-12)


def test_a_blend_keeps_within_velocity_and_acceleration_by_its_duration():
    chunk = _standing()
    blend = _blend([2.0, -0.01, 1.0, 0.4], [0.0] * 4, chunk)
    times = np.arange(0, blend.end_ns, MS)
    rates = np.array([blend.fade(chunk.sample(int(t)), int(t)).rate for t in times])
    assert (np.abs(rates) <= LIMITS.velocity).all()
    assert (np.abs(np.diff(rates, axis=0) / 1e-3) <= LIMITS.acceleration).all()


def test_a_small_difference_is_blended_over_the_shortest_time():
    blend = _blend([1e-4] * 4, [0.0] * 4, _standing())
    assert blend.durations_s == pytest.approx([0.1] * 4)


def test_a_chunk_that_goes_on_as_commanded_is_followed_exactly():
    velocity = np.array([0.5, -0.25, 0.1, 0.0])
    chunk = _timeline(np.arange(50)[:, None] * 0.02 * velocity)
    blend = _blend(np.zeros(4), velocity, chunk)
    for ms in range(0, 100, 7):
        assert blend.fade(chunk.sample(ms * MS), ms * MS).position == pytest.approx(
            ms * 1e-3 * velocity, abs=1e-12
        )


def test_a_blend_lies_between_coasting_and_the_chunk_however_the_chunk_jumps():
    rng = np.random.default_rng(3)
    chunk = _timeline(rng.normal(scale=0.1, size=(50, 4)))
    position, velocity = rng.normal(size=4), rng.normal(size=4)
    blend = _blend(position, velocity, chunk)
    for ms in range(0, 900, 5):
        setpoint = chunk.sample(ms * MS)
        ends = np.stack((position + ms * 1e-3 * velocity, setpoint.position))
        faded = blend.fade(setpoint, ms * MS).position
        assert (faded >= ends.min(axis=0) - 1e-12).all()
        assert (faded <= ends.max(axis=0) + 1e-12).all()


def test_the_rate_of_a_blend_is_the_derivative_of_its_position():
    chunk = _timeline(np.random.default_rng(4).normal(scale=0.1, size=(50, 4)))
    blend = _blend(np.ones(4), np.ones(4), chunk)
    for ms in (3, 27, 55, 91):
        ahead, behind = (
            blend.fade(chunk.sample(ms * MS + d), ms * MS + d).position for d in (10_000, -10_000)
        )
        rate = blend.fade(chunk.sample(ms * MS), ms * MS).rate
        assert rate == pytest.approx((ahead - behind) / 20e-6, rel=1e-4)
