"""Blends are continuous, stay between their sources, and follow chunks that agree exactly."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import MS, embodiment
from hypothesis import given, settings
from hypothesis import strategies as st
from timelines import assert_derivatives, timeline

from pi0_ros.control.blend import MOST_FADES, Blender, Path
from pi0_ros.control.timeline import Timeline

LIMITS = embodiment().limits
PERIOD_NS = 20 * MS
BLENDER = Blender(LIMITS, 0.1, 0.02)


def _standing(steps: int = 200) -> Timeline:
    return timeline(np.zeros((steps, 4)))


def _begin(position, velocity, chunk: Timeline, acceleration=(0.0,) * 4) -> Path:
    """A path that starts to coast at time 0, one tick before the first sample."""
    commanded = np.array([position, velocity, acceleration], dtype=np.float64)
    return BLENDER.begin(chunk, PERIOD_NS, commanded)


def _end_ns(path: Path) -> int:
    rates = path.fades[-1].rate
    return int(1e9 / rates[rates > 0.0].min()) + PERIOD_NS


def test_a_path_begins_with_the_commanded_motion_and_ends_on_the_chunk():
    state = ([0.3, -0.1, 0.0, 0.2], [1.0, 0.0, -0.5, 0.0], [5.0, -2.0, 0.0, 1.0])
    path = _begin(*state[:2], _standing(), state[2])
    assert path.sample(0) == pytest.approx(np.array(state), abs=1e-9)
    assert path.sample(_end_ns(path)) == pytest.approx(np.zeros((3, 4)), abs=1e-12)


def test_a_fade_keeps_within_velocity_and_acceleration_by_its_duration():
    path = _begin([2.0, -0.01, 1.0, 0.4], [0.0] * 4, _standing())
    motions = np.array([path.sample(t) for t in range(0, _end_ns(path), MS)])
    assert (np.abs(motions[:, 1]) <= LIMITS.velocity).all()
    assert (np.abs(motions[:, 2]) <= LIMITS.acceleration).all()


def test_coasting_alone_comes_to_rest_within_the_acceleration_limit():
    velocity = 0.9 * LIMITS.velocity
    coast = _begin(np.zeros(4), velocity, _standing()).sources[0]
    motions = np.array([coast.sample(t) for t in range(0, 800 * MS, MS)])
    assert (np.abs(motions[:, 2]) <= LIMITS.acceleration).all()
    assert motions[-1, 1:] == pytest.approx(np.zeros((2, 4)), abs=1e-9)


def test_a_small_distance_takes_the_shortest_time():
    assert BLENDER.durations_s(np.full((3, 4), 1e-4)) == pytest.approx([0.1] * 4)


def test_velocity_and_acceleration_are_the_derivatives_across_fades():
    rng = np.random.default_rng(4)
    chunks = [timeline(rng.normal(scale=0.05, size=(50, 4)), stamp_ns=k * 60 * MS) for k in (0, 1)]
    path = _begin(np.ones(4), np.ones(4), chunks[0])
    path = BLENDER.splice(path, chunks[1], 60 * MS, path.sample(40 * MS))
    assert len(path.fades) == 2
    assert_derivatives(path.sample, np.arange(61, 600, 13) * MS)


def test_a_splice_changes_neither_position_nor_velocity_nor_acceleration():
    rng = np.random.default_rng(5)
    path = _begin(np.zeros(4), np.zeros(4), timeline(rng.normal(scale=0.1, size=(50, 4))))
    for k in range(1, 12):
        now_ns = k * 60 * MS
        before, commanded = path.sample(now_ns), path.sample(now_ns - PERIOD_NS)
        chunk = timeline(rng.normal(scale=0.1, size=(50, 4)), stamp_ns=now_ns - 25 * MS)
        path = BLENDER.splice(path, chunk, now_ns, commanded)
        assert path.sample(now_ns) == pytest.approx(before, abs=1e-9)


def test_a_dimension_that_lost_the_path_restarts_from_the_commanded_motion():
    path = _begin(np.zeros(4), np.zeros(4), _standing())
    commanded = path.sample(200 * MS)
    commanded[:2, 1] = [-0.5, -1.0]  # the second joint only
    path = BLENDER.splice(path, timeline(np.full((50, 4), 0.01)), 220 * MS, commanded)
    assert path.sample(200 * MS)[:, 1] == pytest.approx(commanded[:, 1], abs=1e-9)
    assert path.sample(220 * MS)[:, [0, 2, 3]] == pytest.approx(np.zeros((3, 3)), abs=1e-9)
    assert path.sample(1900 * MS)[0] == pytest.approx([0.01] * 4)


def test_the_setpoint_stays_between_contradictory_chunks():
    rng = np.random.default_rng(6)
    chunks = [timeline(rng.uniform(-0.02, 0.02, size=(50, 4)))]
    path = _begin(np.zeros(4), np.zeros(4), chunks[0])
    for now_ns in range(20 * MS, 600 * MS, 20 * MS):
        commanded = path.sample(now_ns - PERIOD_NS)
        chunks.append(timeline(rng.uniform(-0.02, 0.02, size=(50, 4)), stamp_ns=now_ns))
        path = BLENDER.splice(path, chunks[-1], now_ns, commanded)
        assert len(path.fades) < MOST_FADES
        reach = max(np.abs(c.sample(now_ns)[0]).max() for c in chunks[-MOST_FADES:])
        assert np.abs(path.sample(now_ns)[0]).max() <= reach + 1e-12


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-1.0, 1.0), min_size=12, max_size=12),
    st.sampled_from([20, 50]),
    st.sampled_from([2, 8, 20, 100]),
    st.lists(st.tuples(st.integers(1, 25), st.integers(0, 99)), min_size=1, max_size=5),
)
def test_one_smooth_motion_cut_into_overlapping_chunks_is_that_motion(
    coefficients, step_ms, tick_ms, cuts
):
    c = np.reshape(coefficients, (3, 4))

    def motion(t: np.ndarray) -> np.ndarray:
        return (np.atleast_1d(t)[:, None, None] ** np.arange(1, 4)[:, None] * c).sum(axis=1)

    stamp_ns, now_ns, path = 0, 0, None
    for steps, offset in [(0, 0), *cuts]:  # each begins anywhere within a step of the last
        stamp_ns += (100 * steps + offset) * step_ms * MS // 100
        rows = motion(stamp_ns * 1e-9 + np.arange(50) * step_ms * 1e-3)
        chunk = timeline(rows, step_ms, stamp_ns)
        while now_ns < stamp_ns:
            now_ns += tick_ms * MS
            if now_ns < stamp_ns:
                assert np.abs(path.sample(now_ns)[0] - motion(now_ns * 1e-9)[0]).max() < 1e-9
        blender = Blender(LIMITS, 0.1, tick_ms * 1e-3)
        if path is None:
            path = Path(chunk, (chunk,), ())
        else:
            path = blender.splice(path, chunk, now_ns, path.sample(now_ns - tick_ms * MS))
        assert np.abs(path.sample(now_ns)[0] - motion(now_ns * 1e-9)[0]).max() < 1e-9


def test_a_far_goal_is_approached_in_one_go_through_chunks_that_agree():
    far = np.array([1.5, 0.5, 0.9, 0.3])
    whole = _begin(np.zeros(4), np.zeros(4), timeline(np.broadcast_to(far, (200, 4))))
    path = whole
    for now_ns in range(100 * MS, 900 * MS, 100 * MS):
        chunk = timeline(np.broadcast_to(far, (50, 4)), stamp_ns=now_ns)
        path = BLENDER.splice(path, chunk, now_ns, whole.sample(now_ns - PERIOD_NS))
        assert path.sample(now_ns + 7 * MS) == pytest.approx(whole.sample(now_ns + 7 * MS))


def test_too_many_fades_restart_from_the_commanded_motion():
    path = _begin(np.zeros(4), np.zeros(4), timeline(np.ones((50, 4))))
    for k in range(1, MOST_FADES + 1):
        chunk = timeline(np.full((50, 4), (-1.0) ** k), stamp_ns=k * 2 * MS)
        commanded = path.sample(k * 2 * MS)
        path = BLENDER.splice(path, chunk, k * 2 * MS + PERIOD_NS, commanded)
    assert len(path.fades) == 1
    assert path.sample(MOST_FADES * 2 * MS) == pytest.approx(commanded, abs=1e-9)
