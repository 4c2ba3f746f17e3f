"""Chunks that continue another one, from the cached sampler and from the plain network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import Batch, perturbed, random_inputs, small_config

from pi0_ros.model import Pi0, flow
from pi0_ros.model.guidance import Continuation, Guidance, Inpainting, prefix_weights
from pi0_ros.model.inference import GraphCache, Sampler

KINDS = {
    "pi0": small_config(),
    "pi05": small_config(pi05=True),
    "one kv head": small_config(kv_heads=1),
}
STEPS = 4


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Pi0:
    return perturbed(KINDS[request.param])


def guided(x: Batch) -> Guidance:
    """Towards the actions of ``x``, in seven of nine dimensions."""
    _, horizon, dim = x.actions.shape
    weights = prefix_weights("exp", delay=2, end=5, horizon=horizon)[:, None].repeat(1, dim)
    weights[:, 7:] = 0
    return Guidance(target=x.actions, weights=weights)


def inpainted(x: Batch) -> Inpainting:
    """The first two rows of the actions of ``x``, in seven of nine dimensions."""
    mask = torch.zeros(x.actions.shape[1:], dtype=torch.bool)
    mask[:2, :7] = True
    return Inpainting(target=x.actions, mask=mask)


def plain(model: Pi0, x: Batch, continuation: Continuation) -> torch.Tensor:
    """The same without any cache: the whole network in every step."""

    def velocity(noisy: torch.Tensor, t: float) -> torch.Tensor:
        return model.velocity(x.inputs, noisy, noisy.new_full(noisy.shape[:1], t))

    return continuation.integrate(velocity, x.noise, flow.euler_times(STEPS))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [guided, inpainted])
def test_continues_as_the_uncached_network_does(
    model: Pi0, batch: int, packed: bool, kind: Callable[[Batch], Continuation]
) -> None:
    x = random_inputs(model.config, batch=batch)
    expected = plain(model, x, kind(x)).detach()
    sampler = Sampler(model, packed=packed)
    actual = sampler.continue_actions(
        sampler.prefill(x.inputs), x.inputs.state, x.noise, kind(x), STEPS
    )
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)
    assert not actual.requires_grad


def test_guidance_changes_the_chunk_and_brings_it_nearer_to_the_old_one(model: Pi0) -> None:
    x, sampler = random_inputs(model.config), Sampler(model)
    context = sampler.prefill(x.inputs)
    free = sampler.sample_actions(context, x.inputs.state, x.noise, STEPS)
    held = sampler.continue_actions(context, x.inputs.state, x.noise, guided(x), STEPS)
    again = sampler.sample_actions(context, x.inputs.state, x.noise, STEPS)
    assert torch.equal(free, again)

    def distance(chunk: torch.Tensor) -> torch.Tensor:
        return (chunk - x.actions)[:, :2, :7].square().mean()

    assert distance(held) < 0.5 * distance(free)


def test_weights_of_zero_leave_plain_sampling(model: Pi0) -> None:
    x, sampler = random_inputs(model.config), Sampler(model)
    context = sampler.prefill(x.inputs)
    idle = Guidance(target=x.actions, weights=torch.zeros(x.actions.shape[1:]))
    torch.testing.assert_close(
        sampler.continue_actions(context, x.inputs.state, x.noise, idle, STEPS),
        sampler.sample_actions(context, x.inputs.state, x.noise, STEPS),
        atol=5e-6,
        rtol=0,
    )


def test_parameters_that_could_be_trained_collect_no_gradients(model: Pi0) -> None:
    model.requires_grad_(True)
    x, sampler = random_inputs(model.config), Sampler(model)
    sampler.continue_actions(sampler.prefill(x.inputs), x.inputs.state, x.noise, guided(x), STEPS)
    assert all(p.grad is None for p in model.parameters())


def test_bfloat16_differs_by_rounding_only() -> None:
    model = perturbed(KINDS["pi05"])
    x = random_inputs(model.config)
    exact = plain(model, x, guided(x)).detach()
    model.to_bfloat16()
    sampler = Sampler(model)
    rough = sampler.continue_actions(
        sampler.prefill(x.inputs), x.inputs.state, x.noise, guided(x), STEPS
    )
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05


class Replay:
    """Captures like a GPU: one run records, and a repeat writes into the same memory."""

    def __init__(self) -> None:
        self.captures = 0

    def __call__(self, function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        self.captures += 1
        result = function()

        def repeat() -> None:
            again = function()
            if isinstance(result, torch.Tensor):
                result.copy_(again)

        return repeat, result


def test_recordings_of_a_kind_are_replayed_on_other_tensors(model: Pi0) -> None:
    x = random_inputs(model.config, batch=1)
    capture = Replay()
    sampler = Sampler(model, graphs=GraphCache(capture))
    context = sampler.prefill(x.inputs)
    first = guided(x)
    second = Guidance(target=-first.target, weights=first.weights / 2)
    for onward in (first, second, inpainted(x), first):
        expected = plain(model, x, onward).detach()
        actual = sampler.continue_actions(context, x.inputs.state, x.noise, onward, STEPS)
        torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)
    assert capture.captures == 3  # of the prefix, of guidance and of inpainting


def test_an_overwritten_context_is_refused(model: Pi0) -> None:
    x = random_inputs(model.config, batch=1)
    sampler = Sampler(model, graphs=GraphCache(Replay()))
    old = sampler.prefill(x.inputs)
    sampler.prefill(x.inputs)
    with pytest.raises(ValueError, match="prefill again"):
        sampler.continue_actions(old, x.inputs.state, x.noise, guided(x), STEPS)
