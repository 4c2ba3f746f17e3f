from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from small_networks import config, inputs, perturbed
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pi0_ros.model import ConfigError
from pi0_ros.model.small import Pi0Small
from pi0_ros.model.small_config import SMALL, SMALL_TINY, HybridConfig, Pi0SmallConfig


def meta(dimensions: Pi0SmallConfig) -> Pi0Small:
    with torch.device("meta"):
        return Pi0Small(dimensions)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_full_size_has_the_published_number_of_parameters() -> None:
    model = meta(SMALL)
    assert model.parameter_count() == count(model) == 470_188_256
    assert model.parameter_count() == pytest.approx(470e6, rel=0.02)


def test_the_encoders_have_the_parameters_of_the_public_ones() -> None:
    model = meta(SMALL)
    projector = 384 * 768 + 768
    assert count(model.text) == 66_362_880
    assert [count(hybrid) - projector for hybrid in model.vision] == [36_046_912] * 3
    assert count(model.encoder) == 85_056_000
    assert count(model.expert) == 207_856_128


def test_an_image_makes_49_tokens_at_full_size() -> None:
    assert SMALL.vision.stride == 32
    assert SMALL.vision.tokens == 49
    assert SMALL.vision.channels == (256, 512, 1024, 2048)


def test_tiny_is_below_a_million_parameters() -> None:
    assert meta(SMALL_TINY).parameter_count() < 1_000_000


def test_weight_bytes_follow_the_dtypes() -> None:
    model = meta(SMALL)
    assert model.weight_bytes() == 4 * count(model)
    assert model.to_bfloat16().weight_bytes() < 2.02 * count(model)


def test_the_state_dict_holds_parameters_only() -> None:
    model = meta(SMALL)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    assert not list(model.buffers())


def test_operations_agree_with_those_counted_while_sampling() -> None:
    # Train mode: the counter does not know the fused kernel of torch's encoder blocks.
    model = perturbed().train()
    x = inputs(model.config, batch=1)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.sample(x.inputs, x.noise, num_steps=3)
    assert counter.get_total_flops() == model.estimate_flops(num_steps=3).total


def test_full_size_operations_by_stage() -> None:
    flops = meta(SMALL).estimate_flops()
    assert flops.vision / 1e9 == pytest.approx(20.9, abs=0.1)
    assert flops.prefix / 1e9 == pytest.approx(45.4, abs=0.1)
    assert flops.denoise / 1e9 == pytest.approx(122.5, abs=0.1)
    fewer = meta(SMALL).estimate_flops(views=1, prompt_tokens=8)
    assert 3 * fewer.vision == flops.vision
    assert fewer.prefix < flops.prefix and fewer.denoise < flops.denoise


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: replace(c, views=0), "views is 0: use a positive number"),
        (lambda c: replace(c, max_tokens=14), "max_tokens is 14 and text.positions 13"),
        (lambda c: replace(c, expert=replace(c.expert, width=7, heads=7)), "expert.width is 7"),
        (lambda c: replace(c, min_period=5.0), "use 0 < min_period < max_period"),
        (lambda c: replace(c.encoder, heads=5), "width 24 is not a multiple of heads 5"),
        (lambda c: replace(c.vision, groups=4), "stem 6 is not a multiple of groups 4"),
        (lambda c: replace(c.vision, image_size=28), "image_size 28 .+ stride 8 of 2 stages"),
        (lambda c: replace(c.vision, layers=()), "layers is .+ at least one unit"),
        (lambda c: replace(c.text, vocab=0), "vocab is 0: use a positive number"),
    ],
)
def test_refuses_dimensions_that_do_not_fit(
    change: Callable[[Pi0SmallConfig], Pi0SmallConfig | HybridConfig], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        change(config())
