from __future__ import annotations

import torch
from small_networks import config, inputs, perturbed

from pi0_ros.model.small_config import SMALL_TINY
from pi0_ros.model.small_weights import random_pi0_small


def test_every_expert_block_starts_as_the_identity_and_the_velocity_as_zero() -> None:
    model = random_pi0_small(config())
    x = inputs(model.config)
    tokens = torch.randn(2, 7, model.config.expert.width)
    memory = model.encode(model.prefill(x.inputs), x.inputs.state)
    modulations = model.expert.modulations(torch.randn(2, model.config.expert.width))
    for block, modulation, keys_values in zip(
        model.expert.blocks, modulations[:-1], memory.keys_values, strict=True
    ):
        assert torch.equal(block(tokens, modulation, keys_values, memory.visible), tokens)
    assert not model.velocity(x.inputs, x.noise, x.time).any()


def test_sampling_an_untrained_network_returns_the_noise() -> None:
    model = random_pi0_small(config())
    x = inputs(model.config)
    assert torch.equal(model.sample(x.inputs, x.noise), x.noise)


def test_the_loss_is_the_squared_error_of_the_velocity_per_element() -> None:
    model = perturbed()
    x = inputs(model.config)
    t = x.time[:, None, None]
    velocity = model.velocity(x.inputs, t * x.noise + (1 - t) * x.actions, x.time)
    loss = model.loss(x.inputs, x.actions, x.noise, x.time)
    torch.testing.assert_close(loss, (velocity - (x.noise - x.actions)) ** 2)
    assert loss.shape == x.actions.shape


def test_the_loss_reaches_every_weight_once_the_gates_are_open() -> None:
    model = perturbed().requires_grad_(True)
    x = inputs(model.config)
    model.loss(x.inputs, x.actions, x.noise, x.time).mean().backward()
    untouched = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert not untouched


def test_at_the_start_the_loss_reaches_the_output_alone() -> None:
    """The output is zero and hides all before it; the first step of training opens the rest."""
    model = random_pi0_small(config())
    x = inputs(model.config)
    model.loss(x.inputs, x.actions, x.noise, x.time).mean().backward()
    touched = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert touched == {"action_out_proj.weight", "action_out_proj.bias"}


def test_training_lowers_the_loss_on_a_fixed_batch() -> None:
    model = random_pi0_small(config())
    x = inputs(model.config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = model.loss(x.inputs, x.actions, x.noise, x.time).mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0], losses


def test_the_tiny_variant_trains_and_samples() -> None:
    model = random_pi0_small(SMALL_TINY)
    x = inputs(SMALL_TINY)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = model.loss(x.inputs, x.actions, x.noise, x.time).mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    actions = model.eval().sample(x.inputs, x.noise)
    assert actions.shape == (2, 50, 32)
    assert actions.isfinite().all()
    assert not torch.equal(actions, x.noise)


def test_random_weights_depend_on_the_seed_alone() -> None:
    one, again, other = (random_pi0_small(config(), seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["state_proj.weight"], other["state_proj.weight"])
