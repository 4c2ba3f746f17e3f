"""The arithmetic between matrix products gives the same numbers however it is carried out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from networks import perturbed, random_inputs, small_config

from pi0_ros.model.inference import Sampler, arithmetic
from pi0_ros.model.inference.arithmetic import can_compile, compiled, gated, gelu_tanh


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Functions are traced and rewritten as for a compiler, but run without one."""
    compiled.cache_clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    yield
    compiled.cache_clear()
    torch.compiler.reset()


@pytest.mark.parametrize("pi05", [False, True])
def test_compiled_it_gives_the_actions_of_the_plain_network(traced: None, pi05: bool) -> None:
    model = perturbed(small_config(pi05=pi05, kv_heads=1))
    sampler = Sampler(model, compile=True)
    for seed in range(2):  # another prompt: another shape
        x = random_inputs(model.config, batch=1, seed=seed)
        expected = model.sample(x.inputs, x.noise, num_steps=2)
        actual = sampler.sample(x.inputs, x.noise, num_steps=2)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_gelu_is_the_tanh_form_with_and_without_gradients(dtype: torch.dtype) -> None:
    x = torch.linspace(-40, 40, 2001, dtype=dtype)
    up = torch.flip(x, (0,))
    expected = torch.nn.functional.gelu(x, approximate="tanh")
    with torch.no_grad():
        torch.testing.assert_close(gelu_tanh(x), expected, atol=2e-6, rtol=2e-6)
        torch.testing.assert_close(gated(x, up), expected * up, atol=1e-4, rtol=2e-6)
    assert torch.equal(gelu_tanh(x.requires_grad_()), expected)


@pytest.mark.parametrize(
    ("tools", "triton", "cpu", "gpu"),
    [
        (["g++"], True, True, False),
        (["gcc"], True, False, True),
        (["gcc", "g++"], False, True, False),
        ([], True, False, False),
    ],
)
def test_compiles_only_where_the_tools_are(
    monkeypatch: pytest.MonkeyPatch, tools: list[str], triton: bool, cpu: bool, gpu: bool
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name in tools else None)
    monkeypatch.setattr(arithmetic, "find_spec", lambda _: object() if triton else None)
    assert can_compile(torch.device("cpu")) == cpu
    assert can_compile(torch.device("cuda")) == gpu
