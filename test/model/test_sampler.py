"""The fast path gives the plain network's actions, whatever it leaves out.

Over 300 lines: every property compares the same two networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Batch, perturbed, random_inputs, small_config
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pi0_ros.model import GemmaConfig, Pi0, Pi0Config, VisionConfig
from pi0_ros.model.inference import GraphCache, Sampler
from pi0_ros.model.inference.kv_cache import KVCache

EXACT = {"atol": 1e-5, "rtol": 0}
KINDS = {
    "pi0": small_config(),
    "pi05": small_config(pi05=True),
    "one kv head": small_config(kv_heads=1),
    "as many kv heads": small_config(kv_heads=6),
    "pi05, one kv head": small_config(pi05=True, kv_heads=1),
}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Pi0:
    return perturbed(KINDS[request.param])


def agree(model: Pi0, sampler: Sampler, x: Batch, num_steps: int = 3) -> None:
    expected = model.sample(x.inputs, x.noise, num_steps=num_steps)
    actual = sampler.sample(x.inputs, x.noise, num_steps=num_steps)
    torch.testing.assert_close(actual, expected, **EXACT)


def masked(x: Batch, cameras: list[list[bool]], words: list[list[bool]]) -> Batch:
    masks = {"image_mask": torch.tensor(cameras), "token_mask": torch.tensor(words)}
    return replace(x, inputs=replace(x.inputs, **masks))


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("packed", [False, True])
def test_gives_the_actions_of_the_padded_network(model: Pi0, batch: int, packed: bool) -> None:
    sampler = Sampler(model, packed=packed)
    agree(model, sampler, random_inputs(model.config, batch=batch))


@pytest.mark.parametrize("num_steps", range(1, 11))
@pytest.mark.parametrize("pi05", [False, True])
def test_takes_any_number_of_steps(pi05: bool, num_steps: int) -> None:
    model = perturbed(small_config(pi05=pi05))
    agree(model, Sampler(model), random_inputs(model.config), num_steps)


def test_follows_named_times(model: Pi0) -> None:
    x = random_inputs(model.config)
    times = (1.0, 0.7, 0.65, 0.2, 0.0)
    expected = model.sample(x.inputs, x.noise, times=times)
    actual = Sampler(model).sample(x.inputs, x.noise, times=times)
    torch.testing.assert_close(actual, expected, **EXACT)


@pytest.mark.parametrize("cameras", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("words", [0, 1, 5, 11])
@pytest.mark.parametrize("pi05", [False, True])
def test_drops_every_combination_of_cameras(cameras: tuple, words: int, pi05: bool) -> None:
    model = perturbed(small_config(pi05=pi05, kv_heads=1))
    x = random_inputs(model.config, batch=1)
    x = masked(x, [list(cameras)], [[i < words for i in range(11)]])
    agree(model, Sampler(model, multiple=1), x)
    agree(model, Sampler(model, multiple=4), x)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), batch=st.integers(1, 3), multiple=st.integers(1, 12))
def test_agrees_under_every_mask(data: st.DataObject, batch: int, multiple: int) -> None:
    model = perturbed(small_config())
    flags = [
        data.draw(
            st.lists(
                st.lists(st.booleans(), min_size=n, max_size=n), min_size=batch, max_size=batch
            )
        )
        for n in (3, 11)
    ]
    x = masked(random_inputs(model.config, batch=batch), *flags)
    agree(model, Sampler(model, multiple=multiple), x, num_steps=2)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), pi05=st.booleans())
def test_agrees_at_any_dimensions(data: st.DataObject, pi05: bool) -> None:
    def number(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    kv_heads, heads, depth, head_dim = number(1, 2), number(1, 3), number(1, 3), 2 * number(1, 6)
    shared = {"depth": depth, "heads": kv_heads * heads, "kv_heads": kv_heads, "head_dim": head_dim}
    config = Pi0Config(
        vision=VisionConfig(
            width=6 * number(1, 3), depth=number(1, 2), mlp=9, heads=3, patch=8, image_size=16
        ),
        backbone=GemmaConfig(width=number(4, 20), mlp=number(3, 20), **shared),
        expert=GemmaConfig(width=2 * number(2, 10), mlp=number(3, 20), **shared),
        vocab=20,
        action_dim=number(1, 8),
        action_horizon=number(1, 6),
        max_tokens=number(2, 9),
        pi05=pi05,
    )
    model = perturbed(config, seed=number(0, 99))
    agree(model, Sampler(model), random_inputs(config, batch=number(1, 2), views=number(1, 4)))


def test_one_context_serves_many_chunks(model: Pi0) -> None:
    x, sampler = random_inputs(model.config), Sampler(model)
    context = sampler.prefill(x.inputs)
    first = sampler.sample_actions(context, x.inputs.state, x.noise, num_steps=3)
    other = sampler.sample_actions(context, x.inputs.state + 1, -x.noise, num_steps=2)
    again = sampler.sample_actions(context, x.inputs.state, x.noise, num_steps=3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_takes_bytes_for_images(model: Pi0) -> None:
    x, sampler = random_inputs(model.config), Sampler(model)
    images = torch.randint(0, 256, x.inputs.images.shape, dtype=torch.uint8)
    scaled = replace(x.inputs, images=images / 255 * 2 - 1)
    expected = sampler.sample(scaled, x.noise, num_steps=2)
    actual = sampler.sample(replace(x.inputs, images=images), x.noise, num_steps=2)
    torch.testing.assert_close(actual, expected, **EXACT)


def test_embeds_a_prompt_once_and_forgets_old_ones(model: Pi0) -> None:
    x, sampler = random_inputs(model.config).row(0), Sampler(model)
    sampler.prefill(x.inputs)
    (known,) = sampler._prompts.values()
    sampler.prefill(x.inputs)
    assert next(iter(sampler._prompts.values())) is known
    for word in range(20):
        sampler.prefill(replace(x.inputs, tokens=torch.full_like(x.inputs.tokens, word)))
    assert len(sampler._prompts) == 16


def test_runs_the_vision_tower_once_on_the_present_views(model: Pi0) -> None:
    x, sampler, seen = random_inputs(model.config, batch=3), Sampler(model), []
    sampler.vision.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[0]))
    sampler.prefill(x.inputs)
    assert seen == [8]


def test_bfloat16_differs_by_rounding_only(model: Pi0) -> None:
    x = random_inputs(model.config)
    exact = model.sample(x.inputs, x.noise)
    model.to_bfloat16()
    plain = model.sample(x.inputs, x.noise)
    fast = Sampler(model).sample(x.inputs, x.noise)
    assert fast.dtype == torch.float32
    assert (fast - exact).abs().mean() < 2 * (plain - exact).abs().mean()


@pytest.mark.parametrize("pi05", [False, True])
def test_copied_weights_are_used_at_the_same_addresses(pi05: bool) -> None:
    mine, theirs = (perturbed(small_config(pi05=pi05), seed) for seed in (1, 2))
    x, sampler = random_inputs(mine.config), Sampler(mine, packed=True)
    agree(mine, sampler, x)
    addresses = [p.data_ptr() for p in mine.parameters()]
    sampler.copy_weights_from(theirs)
    assert [p.data_ptr() for p in mine.parameters()] == addresses
    agree(theirs, sampler, x)


def test_refuses_weights_of_another_network() -> None:
    sampler = Sampler(perturbed(small_config()))
    with pytest.raises(ValueError, match="config is"):
        sampler.copy_weights_from(perturbed(small_config(kv_heads=1)))
    with pytest.raises(ValueError, match="dtypes differ"):
        sampler.copy_weights_from(perturbed(small_config()).to_bfloat16())


@pytest.mark.parametrize("pi05", [False, True])
def test_counts_the_operations_it_spends(pi05: bool) -> None:
    model = perturbed(small_config(pi05=pi05, kv_heads=1))
    x, sampler = random_inputs(model.config, batch=1), Sampler(model)
    words = int(x.inputs.token_mask.sum())
    sampler.sample(x.inputs, x.noise, num_steps=3)
    # The counter knows the matrix products of the plain kernel, not the fused one for CPUs.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        sampler.sample(x.inputs, x.noise, num_steps=3)
    estimate = sampler.estimate_flops(views=2, num_steps=3, prompt_tokens=words).total
    assert counter.get_total_flops() == pytest.approx(estimate, rel=1e-3)
    assert estimate < model.estimate_flops(views=2, num_steps=3, prompt_tokens=words).total


class Replay:
    """Captures like a GPU: one run records, and a repeat writes into the same memory."""

    def __init__(self) -> None:
        self.captures = 0

    def __call__(self, function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        self.captures += 1
        result = function()

        def repeat() -> None:
            for old, new in zip(_tensors(result), _tensors(function()), strict=True):
                old.copy_(new)

        return repeat, result


def _tensors(result: Any) -> list[torch.Tensor]:
    if not isinstance(result, KVCache):
        return [result]
    bias = [] if result.bias is None else [result.bias]
    return [*result.layers, *bias, *result.angles]


def test_replays_give_the_actions_of_the_padded_network(model: Pi0) -> None:
    capture = Replay()
    sampler = Sampler(model, graphs=GraphCache(capture), multiple=4)
    for seed in range(4):
        x = random_inputs(model.config, batch=1, seed=seed)
        agree(model, sampler, x)
    assert capture.captures == 2


def test_every_shape_is_recorded_once_and_old_ones_are_dropped(model: Pi0) -> None:
    capture = Replay()
    cache = GraphCache(capture, capacity=3)
    sampler = Sampler(model, graphs=cache, multiple=4)
    x = random_inputs(model.config, batch=1)
    for words in (1, 2, 5, 6, 9, 4):
        agree(model, sampler, masked(x, [[True, False, True]], [[i < words for i in range(11)]]))
    # Lengths 4 and 8 and 12 with padding, and 4 without; prefix and denoising each.
    assert capture.captures == 2 * 4
    assert len(cache) == 3


def test_a_replayed_context_is_refused_once_it_is_overwritten(model: Pi0) -> None:
    sampler = Sampler(model, graphs=GraphCache(Replay()))
    x = random_inputs(model.config, batch=1)
    old = sampler.prefill(x.inputs)
    sampler.prefill(x.inputs)
    with pytest.raises(ValueError, match="prefill again"):
        sampler.sample_actions(old, x.inputs.state, x.noise)


def test_actions_outlive_the_next_replay(model: Pi0) -> None:
    sampler = Sampler(model, graphs=GraphCache(Replay()))
    x = random_inputs(model.config, batch=1)
    first = sampler.sample(x.inputs, x.noise, num_steps=2)
    kept = first.clone()
    sampler.sample(x.inputs, -x.noise, num_steps=2)
    assert torch.equal(first, kept)


def test_recordings_survive_a_change_of_weights() -> None:
    mine, theirs = (perturbed(small_config(), seed) for seed in (1, 2))
    capture = Replay()
    sampler = Sampler(mine, graphs=GraphCache(capture), packed=True)
    x = random_inputs(mine.config, batch=1)
    agree(mine, sampler, x)
    sampler.copy_weights_from(theirs)
    agree(theirs, sampler, x)
    assert capture.captures == 2


def test_hooks_on_the_vision_tower_are_left_out_of_recordings(model: Pi0) -> None:
    sampler, called = Sampler(model, graphs=GraphCache(Replay())), []
    sampler.vision.register_forward_hook(lambda *_: called.append(True))
    agree(model, sampler, random_inputs(model.config, batch=1))
    assert not called


def test_without_a_gpu_nothing_is_recorded_or_packed() -> None:
    model = perturbed(small_config())
    before = [p.data_ptr() for p in model.parameters()]
    assert Sampler.on_device(model).graphs is None
    assert [p.data_ptr() for p in model.parameters()] == before


@pytest.mark.parametrize(("pi05", "shapes"), [(False, 3), (True, 1)])
def test_only_prompts_that_change_with_the_state_are_rounded_up(pi05: bool, shapes: int) -> None:
    model = perturbed(small_config(pi05=pi05))
    cache = GraphCache(Replay())
    sampler, x = Sampler(model, graphs=cache), random_inputs(model.config, batch=1)
    for words in (1, 2, 3):
        said = masked(x, [[True, False, True]], [[i < words for i in range(11)]])
        agree(model, sampler, said, num_steps=2)
    assert len(cache) == shapes


def test_batches_are_not_recorded(model: Pi0) -> None:
    capture = Replay()
    agree(model, Sampler(model, graphs=GraphCache(capture)), random_inputs(model.config, batch=2))
    assert capture.captures == 0


def test_refuses_inputs_of_other_shapes(model: Pi0) -> None:
    x, sampler = random_inputs(model.config), Sampler(model)
    with pytest.raises(ValueError, match=r"images have shape \(2, 3, 3, 32, 31\)"):
        sampler.prefill(replace(x.inputs, images=x.inputs.images[..., :-1]))
    context = sampler.prefill(x.inputs)
    with pytest.raises(ValueError, match=r"state has shape \(1, 9\): expected \(2, 9\)"):
        sampler.sample_actions(context, x.inputs.state[:1], x.noise)
