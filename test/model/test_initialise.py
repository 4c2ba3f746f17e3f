from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from networks import random_inputs, small_config
from torch.utils._python_dispatch import TorchDispatchMode

from pi0_ros.model import SMALL_TINY, Pi0, Pi0Small, init_empty_weights, random_pi0, variant


@pytest.mark.parametrize("pi05", [False, True])
def test_a_fresh_network_is_finite_and_of_unit_scale(pi05: bool) -> None:
    config = replace(variant("tiny"), pi05=pi05)
    x = random_inputs(config)
    actions = random_pi0(config).sample(x.inputs, x.noise)
    assert actions.isfinite().all()
    assert 0.3 < actions.std() < 3


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = random_pi0(small_config(), seed=3).state_dict()
    torch.manual_seed(2)
    again = random_pi0(small_config(), seed=3).state_dict()
    other = random_pi0(small_config(), seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["action_in_proj.weight"], other["action_in_proj.weight"])


def test_matrices_have_the_variance_of_their_fan_in() -> None:
    model = random_pi0(variant("tiny")).requires_grad_(False)
    gate = model.backbone.blocks[0].mlp.gate_proj.weight
    assert gate.std() * 96**0.5 == pytest.approx(1, abs=0.05)
    patch = model.vision.patch_embedding.weight
    assert patch.std() * (3 * 28**2) ** 0.5 == pytest.approx(1, abs=0.05)
    assert gate.abs().max() <= 2.3 * 96**-0.5


def test_adaptive_norms_start_closed() -> None:
    model = random_pi0(small_config(pi05=True))
    assert not model.expert.blocks[0].input_layernorm.dense.weight.any()


class Watch(TorchDispatchMode):
    """Notes the operators that reach a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("network", [Pi0(variant("tiny")), Pi0Small(SMALL_TINY)], ids=type)
def test_a_blank_network_has_the_shapes_and_draws_no_number(network: Pi0 | Pi0Small) -> None:
    with Watch() as watch, init_empty_weights():
        made = type(network)(network.config)  # type: ignore[arg-type]
    assert not {"normal_", "uniform_", "trunc_normal_"} & watch.seen
    assert all(p.is_meta for p in made.parameters())
    shapes = {name: p.shape for name, p in network.named_parameters()}
    assert {name: p.shape for name, p in made.named_parameters()} == shapes
