from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pi0_ros.model.inference import GraphCache


def eager_capture(function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """Repeats into the same result, like a graph, but by calling the function again."""
    result = function()

    def repeat() -> None:
        result.copy_(function())

    return repeat, result


def run(cache: GraphCache, key: str, value: float) -> torch.Tensor:
    inputs = [torch.tensor([value])]
    return cache.capture(key, lambda x: x + 1, inputs).run(inputs)


def test_a_replay_reads_new_inputs_and_overwrites_the_result() -> None:
    cache = GraphCache(eager_capture)
    first = run(cache, "a", 1)
    assert first.item() == 2
    second = run(cache, "a", 5)
    assert second is first
    assert first.item() == 6
    assert len(cache) == 1


def test_the_callers_tensors_are_not_kept() -> None:
    cache = GraphCache(eager_capture)
    inputs = [torch.tensor([1.0])]
    graph = cache.capture("a", lambda x: x + 1, inputs)
    inputs[0].fill_(100)
    assert graph.run([torch.tensor([2.0])]).item() == 3


def test_the_longest_unused_recording_goes_first() -> None:
    cache, recorded = GraphCache(eager_capture, capacity=2), []

    def record(key: str) -> None:
        def function(x: torch.Tensor) -> torch.Tensor:
            if key not in recorded or recorded[-1] != key:
                recorded.append(key)
            return x + 1

        cache.capture(key, function, [torch.zeros(1)])

    for key in ("a", "b", "a", "c", "a", "b"):
        record(key)
    assert recorded == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_what_reads_a_recording_goes_with_it_and_is_bounded_too() -> None:
    cache = GraphCache(eager_capture, capacity=2)
    x = [torch.zeros(1)]
    prefill = cache.capture("prefill", lambda t: t + 1, x)
    for steps in range(5):
        cache.capture(steps, lambda t: prefill.result + t, x, of=prefill)
    assert list(prefill.dependents) == [3, 4]
    assert len(cache) == 1
    run(cache, "other", 0)
    run(cache, "another", 0)
    assert cache.capture("prefill", lambda t: t + 1, x) is not prefill


def test_counts_replays() -> None:
    cache = GraphCache(eager_capture)
    graph = cache.capture("a", lambda x: x + 1, [torch.zeros(1)])
    assert graph.replays == 0
    graph.run([torch.zeros(1)])
    graph.run([torch.zeros(1)])
    assert graph.replays == 2


def test_refuses_a_cache_of_nothing() -> None:
    with pytest.raises(ValueError, match="capacity is 0"):
        GraphCache(eager_capture, capacity=0)
