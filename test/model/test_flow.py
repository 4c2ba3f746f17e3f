from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pi0_ros.model import flow

COLUMNS = [0, 1, 255, 256, 510, 511, 512, 513, 767, 1023]
#: time: sines of the columns above, cosines, and the sum over all 1024.
EMBEDDINGS = {
    1.0: (
        [0, -0.783219, -0.252886, -0.799914, 0.999771, 1],
        [1, -0.621746, 0.967496, 0],
        -20.38581,
    ),
    0.9: (
        [0, -0.132246, 0.855513, 0.409769, 0.990515, 0.987688],
        [1, 0.991217, 0.517781, 0.156434],
        1.3075,
    ),
    0.5: (
        [0, 0.900485, -0.127483, -0.447149, 0.714625, 0.707107],
        [1, -0.434887, 0.991841, 0.707107],
        50.27594,
    ),
    0.1: (
        [0, -0.858563, -0.958645, -0.975581, 0.158546, 0.156434],
        [1, -0.512708, 0.284604, 0.987688],
        200.0696,
    ),
    0.001: (
        [1, 0.999778, 0.049989, 0.049318, 0.001592, 0.001571],
        [0, 0.02109, 0.99875, 0.999999],
        572.09574,
    ),
}


@pytest.mark.parametrize("time", EMBEDDINGS)
def test_embeds_time_as_tabulated(time: float) -> None:
    e = flow.time_embedding(torch.tensor([time], dtype=torch.float64), 1024, 4e-3, 4.0)[0]
    sines, cosines, total = EMBEDDINGS[time]
    torch.testing.assert_close(e[COLUMNS], torch.tensor(sines + cosines), atol=1e-6, rtol=0)
    assert e.sum() == pytest.approx(total, abs=2e-4)
    assert e.square().sum() == pytest.approx(512, abs=1e-3)


def test_training_times_by_inverse_cdf() -> None:
    times = flow.training_time(torch.tensor([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]))
    expected = torch.tensor([0.001, 0.1366, 0.3975, 0.6303, 0.8257, 0.9664, 1.0])
    torch.testing.assert_close(times, expected, atol=5e-5, rtol=0)


def test_training_times_average_to_six_tenths() -> None:
    uniform = (torch.arange(100_000) + 0.5) / 100_000
    assert flow.training_time(uniform).mean() == pytest.approx(0.6004, abs=1e-4)


def test_ten_steps_run_from_one_to_a_tenth() -> None:
    assert flow.euler_times(10) == pytest.approx([k / 10 for k in range(10, -1, -1)], abs=5e-7)
    assert flow.euler_times(10)[-1] == 0


def test_times_are_counted_down_in_float32_like_the_public_sampler() -> None:
    counted = [np.float32(1)]
    while len(counted) < 10:
        counted.append(counted[-1] + np.float32(-0.1))
    assert flow.euler_times(10)[:-1] == tuple(float(t) for t in counted)
    assert flow.euler_times(10)[9] != 0.1


def test_refuses_zero_steps() -> None:
    with pytest.raises(ValueError, match="num_steps is 0"):
        flow.euler_times(0)


@given(steps=st.integers(1, 60), seed=st.integers(0, 1000))
def test_a_network_that_knows_the_answer_is_followed_to_it(steps: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    actions, noise = torch.randn(2, 2, 5, 3, generator=g, dtype=torch.float64)
    result = flow.euler(lambda _x, _t: noise - actions, noise, flow.euler_times(steps))
    torch.testing.assert_close(result, actions)


def test_the_path_and_its_velocity_agree() -> None:
    g = torch.Generator().manual_seed(0)
    actions, noise = torch.randn(2, 1, 5, 3, generator=g, dtype=torch.float64)
    early, late = (flow.interpolate(actions, noise, torch.tensor([t])) for t in (0.25, 0.75))
    torch.testing.assert_close((late - early) / 0.5, flow.target_velocity(actions, noise))
    torch.testing.assert_close(flow.interpolate(actions, noise, torch.ones(1)), noise)
    torch.testing.assert_close(flow.interpolate(actions, noise, torch.zeros(1)), actions)


def test_the_sampler_visits_the_given_times_only() -> None:
    visited: list[float] = []

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        visited.append(t)
        return torch.ones_like(x)

    result = flow.euler(velocity, torch.zeros(1, 1, 1), [1.0, 0.6, 0.5, 0.0])
    assert visited == [1.0, 0.6, 0.5]
    assert result.item() == pytest.approx(-1)
