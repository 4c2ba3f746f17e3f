from __future__ import annotations

import pytest
import torch
from networks import perturbed, random_inputs, small_config
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pi0_ros.model import Pi0, variant


def meta(name: str) -> Pi0:
    with torch.device("meta"):
        return Pi0(variant(name))


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "total", "expert", "projections"),
    [
        ("pi0", 3_238_048_528, 311_464_960, 3_248_160),
        ("pi05", 3_353_433_872, 427_932_672, 2_165_792),
    ],
)
def test_full_size_has_the_published_parameters(
    name: str, total: int, expert: int, projections: int
) -> None:
    model = meta(name)
    projector = 2_361_344
    assert count(model) == total
    assert count(model.vision) == 412_442_352 + projector
    assert count(model.embed_tokens) == 526_647_296
    assert count(model.backbone) == 1_981_884_416
    assert count(model.expert) == expert
    parts = (model.vision, model.embed_tokens, model.backbone, model.expert)
    assert total - sum(map(count, parts)) == projections


def test_tiny_is_below_a_million_parameters() -> None:
    assert count(meta("tiny")) < 1_000_000


def test_weight_bytes_follow_the_dtypes() -> None:
    model = meta("pi0")
    assert model.weight_bytes() == 4 * count(model)
    assert model.to_bfloat16().weight_bytes() < 2.02 * count(model)


def test_the_state_dict_holds_parameters_only() -> None:
    model = meta("pi0")
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    assert not list(model.buffers())


def test_full_size_operations_by_stage() -> None:
    """Against the roofline of the public model: three views, ten steps, in TFLOP."""
    flops = meta("pi0").estimate_flops(views=3, num_steps=10)
    assert flops.vision / 1e12 == pytest.approx(0.66, abs=0.02)
    assert flops.prefix / 1e12 == pytest.approx(3.33, abs=0.05)
    assert flops.denoise / 1e12 == pytest.approx(0.39, abs=0.02)
    assert flops.total == flops.vision + flops.prefix + flops.denoise


@pytest.mark.parametrize("pi05", [False, True])
def test_operations_agree_with_those_counted_while_sampling(pi05: bool) -> None:
    model = perturbed(small_config(pi05=pi05, kv_heads=1))
    x = random_inputs(model.config, batch=1)
    # The counter knows the matrix products of the plain kernel, not the fused one for CPUs.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.sample(x.inputs, x.noise, num_steps=3)
    estimate = model.estimate_flops(views=3, num_steps=3).total
    assert counter.get_total_flops() == pytest.approx(estimate, rel=1e-3)
