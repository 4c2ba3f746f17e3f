"""Guided sampling against the numbers of the paper, and against derivatives done another way."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pi0_ros.model import flow, guidance
from pi0_ros.model.guidance import Guidance, Inpainting, guidance_coefficient, prefix_weights

D6 = [
    *(0.8767, 0.7645, 0.6627, 0.5706, 0.4876, 0.4130, 0.3463, 0.2871, 0.2347, 0.1888),
    *(0.1488, 0.1145, 0.0854, 0.0611, 0.0413, 0.0258, 0.0141, 0.0061, 0.0015),
]
D16 = [0.7645, 0.5706, 0.4130, 0.2871, 0.1888, 0.1145, 0.0611, 0.0258, 0.0061]
A, B = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 4


@pytest.mark.parametrize(("delay", "between"), [(6, D6), (16, D16)])
def test_weights_fall_as_in_the_paper(delay: int, between: list[float]) -> None:
    weights = prefix_weights("exp", delay=delay, end=25, horizon=50)
    expected = torch.tensor([1.0] * delay + between + [0.0] * 25)
    torch.testing.assert_close(weights, expected, atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("schedule", "between"),
    [
        ("linear", [0.8, 0.6, 0.4, 0.2]),
        ("exp", [0.5706, 0.2871, 0.1145, 0.0258]),
        ("ones", [1, 1, 1, 1]),
        ("zeros", [0, 0, 0, 0]),
    ],
)
def test_weights_between_frozen_and_free_rows(schedule: str, between: list[float]) -> None:
    weights = prefix_weights(schedule, delay=2, end=6, horizon=10)
    torch.testing.assert_close(
        weights, torch.tensor([1.0, 1, *between, 0, 0, 0, 0]), atol=5e-5, rtol=0
    )


def test_weights_without_an_overlap_are_all_or_nothing() -> None:
    assert prefix_weights("exp", delay=3, end=3, horizon=5).tolist() == [1, 1, 1, 0, 0]
    assert prefix_weights("exp", delay=0, end=0, horizon=5).tolist() == [0] * 5


@pytest.mark.parametrize(("delay", "end"), [(-1, 5), (6, 5), (2, 11)])
def test_refuses_weights_for_more_rows_than_there_are(delay: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"delay is {delay}, end {end}, horizon 10"):
        prefix_weights("exp", delay=delay, end=end, horizon=10)


def test_refuses_an_unknown_schedule() -> None:
    with pytest.raises(ValueError, match="schedule is 'cosine'; give one of exp, linear"):
        prefix_weights("cosine", delay=0, end=5, horizon=10)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (5, [math.inf, 4.25, 2.1667, 2.1667, 4.25]),
        (10, [math.inf, 9.111, 4.25, 2.762, 2.167, 2.0, 2.167, 2.762, 4.25, 9.111]),
    ],
)
def test_coefficients_of_the_paper(steps: int, expected: list[float]) -> None:
    times = flow.euler_times(steps)[:-1]
    unclipped = [guidance_coefficient(t, math.inf) for t in times]
    assert unclipped == pytest.approx(expected, abs=1e-3)
    assert [guidance_coefficient(t) for t in times] == pytest.approx(
        [min(c, 5.0) for c in expected], abs=1e-3
    )


def coupled(x: Tensor, t: float) -> Tensor:
    """A velocity in which every entry of a chunk (3, 4) depends on every other."""
    return torch.tanh(x.flatten(1) @ A * (1 + t)).matmul(B).view_as(x)


def random_chunks(count: int) -> Tensor:
    g = torch.Generator().manual_seed(3)
    return torch.randn(count, 2, 3, 4, generator=g, dtype=torch.float64)


def test_the_guided_velocity_uses_the_jacobian_of_the_estimate() -> None:
    x, target = random_chunks(2)
    weights, t = torch.tensor([[1.0], [0.5], [0.0]]).double().expand(3, 4), 0.7
    actual = guidance.guided_velocity(coupled, Guidance(target=target, weights=weights))(x, t)
    for sample in range(2):
        row = x[sample].flatten()

        def estimate(flat: Tensor) -> Tensor:
            return flat - t * coupled(flat.view(1, 3, 4), t).flatten()

        # Central differences, an entry at a time: (out, in).
        nudges = 1e-6 * torch.eye(12, dtype=torch.float64)
        jacobian = torch.stack(
            [(estimate(row + e) - estimate(row - e)) / 2e-6 for e in nudges], dim=1
        )
        error = weights.flatten() * (target[sample].flatten() - estimate(row))
        expected = coupled(x[sample : sample + 1], t).flatten() - guidance_coefficient(t) * (
            error @ jacobian
        )
        torch.testing.assert_close(actual[sample].flatten(), expected, atol=1e-7, rtol=0)


def test_guided_euler_takes_the_steps_written_out_by_hand() -> None:
    noise, target = random_chunks(2)
    weights = prefix_weights("exp", delay=1, end=2, horizon=3).double()[:, None].expand(3, 4)
    times = flow.euler_times(5)
    actual = Guidance(target=target, weights=weights).integrate(coupled, noise, times)
    x = noise.clone()
    for t, t_next in pairwise(times):
        x = x.detach().requires_grad_()
        v = coupled(x, t)
        estimate = x - t * v
        loss = 0.5 * ((target - estimate).square() * weights).sum()
        (gradient,) = torch.autograd.grad(loss, x)  # minus the vector-Jacobian product
        x = x + (t_next - t) * (v + guidance_coefficient(t) * gradient)
    torch.testing.assert_close(actual, x.detach())
    assert not actual.requires_grad


def test_a_network_with_one_answer_only_is_not_bent() -> None:
    noise, target = random_chunks(2)

    def towards_zero(x: Tensor, t: float) -> Tensor:
        return x / t

    bent = Guidance(target=target, weights=torch.ones(3, 4).double())
    out = bent.integrate(towards_zero, noise, flow.euler_times(10))
    torch.testing.assert_close(out, torch.zeros_like(noise), atol=1e-12, rtol=0)


def test_a_network_without_opinion_is_led_to_the_target_where_the_weight_is_one() -> None:
    noise, target = random_chunks(2)
    weights = torch.tensor([1.0, 1.0, 0.0]).double()[:, None].expand(3, 4)
    out = Guidance(target=target, weights=weights).integrate(
        lambda x, _t: torch.zeros_like(x), noise, flow.euler_times(10)
    )
    left = (out - target).abs() / (noise - target).abs()
    assert left[:, :2].max() < 0.03
    torch.testing.assert_close(out[:, 2], noise[:, 2])


def test_parameters_collect_no_gradients() -> None:
    layer = torch.nn.Linear(4, 4).double()
    noise, target = random_chunks(2)
    steer = Guidance(target=target, weights=torch.ones(3, 4).double())
    out = steer.integrate(lambda x, _t: layer(x), noise, flow.euler_times(3))
    assert layer.weight.grad is None
    assert not out.requires_grad


def test_inpainting_ends_on_the_target_and_passes_along_the_path_to_it() -> None:
    noise, target = random_chunks(2)
    mask = torch.tensor([[True] * 3 + [False], [False] * 4, [False] * 4])
    seen: list[tuple[float, Tensor]] = []

    def watched(x: Tensor, t: float) -> Tensor:
        seen.append((t, x))
        return coupled(x, t)

    out = Inpainting(target=target, mask=mask).integrate(watched, noise, flow.euler_times(4))
    assert torch.equal(out[:, mask], target[:, mask])
    for t, x in seen:
        torch.testing.assert_close(x[:, 0, :3], (t * noise + (1 - t) * target)[:, 0, :3])
    assert not torch.equal(out[:, 0, 3], target[:, 0, 3])


def test_inpainting_nothing_is_plain_sampling() -> None:
    noise, target = random_chunks(2)
    times = flow.euler_times(4)
    out = Inpainting(target=target, mask=torch.zeros(3, 4, dtype=torch.bool)).integrate(
        coupled, noise, times
    )
    torch.testing.assert_close(out, flow.euler(coupled, noise, times))
