from __future__ import annotations

import pytest
import torch
from networks import perturbed, small_config
from torch import nn

from pi0_ros.model.gemma import attend
from pi0_ros.model.inference.packing import Linears, PackedStack, attend_all


@pytest.fixture
def linears() -> tuple[nn.Linear, nn.Linear]:
    return nn.Linear(3, 4), nn.Linear(3, 4)


def test_packed_linears_become_views_of_one_weight(linears) -> None:
    expected = torch.cat([m.weight for m in linears]).detach()
    (packed,) = Linears.of(*linears, packed=True).weights
    assert torch.equal(packed, expected)
    with torch.no_grad():
        linears[1].weight.fill_(7)
    assert (packed[4:] == 7).all()
    assert torch.equal(packed[:4], linears[0].weight)


@pytest.mark.parametrize("packed", [False, True])
def test_linears_give_their_own_outputs_packed_or_not(linears, packed: bool) -> None:
    x = torch.randn(2, 3)
    expected = torch.cat([m(x) for m in linears], dim=-1)
    torch.testing.assert_close(Linears.of(*linears, packed=packed).joined(x), expected)


@pytest.mark.parametrize("packed", [False, True])
def test_halves_are_the_two_outputs(packed: bool) -> None:
    linears = nn.Linear(3, 4, bias=False), nn.Linear(3, 4, bias=False)
    x = torch.randn(2, 3)
    halves = Linears.of(*linears, packed=packed).halves(x)
    for half, module in zip(halves, linears, strict=True):
        torch.testing.assert_close(half, module(x))


def test_unpacked_weights_stay_where_they_are(linears) -> None:
    before = [m.weight.data_ptr() for m in linears]
    together = Linears.of(*linears, packed=False)
    assert [m.weight.data_ptr() for m in linears] == before
    assert [w.data_ptr() for w in together.weights] == before


@pytest.mark.parametrize("pi05", [False, True])
def test_packing_keeps_every_name_and_value(pi05: bool) -> None:
    model = perturbed(small_config(pi05=pi05))
    before = {name: t.clone() for name, t in model.state_dict().items()}
    PackedStack(model.backbone, packed=True)
    PackedStack(model.expert, packed=True)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_packing_holds_nothing_twice() -> None:
    model = perturbed(small_config())
    PackedStack(model.backbone, packed=True)
    attention, mlp = model.backbone.blocks[0].self_attn, model.backbone.blocks[0].mlp
    storages = [
        {m.weight.untyped_storage().data_ptr() for m in group}
        for group in (
            (attention.q_proj, attention.k_proj, attention.v_proj),
            (mlp.gate_proj, mlp.up_proj),
        )
    ]
    assert [len(s) for s in storages] == [1, 1]


def test_packing_twice_is_harmless() -> None:
    model = perturbed(small_config())
    first = PackedStack(model.backbone, packed=True).layers[0].qkv.weights[0].clone()
    assert torch.equal(PackedStack(model.backbone, packed=True).layers[0].qkv.weights[0], first)


@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_heads_as_rows_give_the_attention_of_repeated_keys(kv_heads: int) -> None:
    g = torch.Generator().manual_seed(0)
    q = torch.randn(2, 4, 6, 8, generator=g)
    k, v = torch.randn(2, 2, kv_heads, 5, 8, generator=g)
    visible = torch.ones(2, 4, 5, dtype=torch.bool)
    visible[1, :, 3:] = False
    bias = torch.zeros(2, 1, 1, 5)
    bias[1, ..., 3:] = -1e30
    expected = attend(q.transpose(1, 2), k, v, visible).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attend_all(q, k, v, bias), expected, atol=1e-6, rtol=0)
