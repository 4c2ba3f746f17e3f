"""The veto hook for constraints other than limits."""

from __future__ import annotations

import numpy as np
import pytest
from arm_with_base import START, Bench, assert_within_limits

from pi0_ros.control import ExecutorState, load_veto

CHUNK = START + np.linspace(0.0, 1.0, 10)[:, None] * [0.3, 0.0, 0.0, 0.0]


def wall_at_0_2(command, velocity):
    """Refuses commands from which the shoulder could not stop before 0.2."""
    ahead = command[0] + velocity[0] * abs(velocity[0]) / 20.0 + abs(velocity[0]) * 0.04
    return f"the shoulder would pass 0.2 from {command[0]:.2f}" if ahead > 0.2 else None


def broken(command, velocity):
    raise KeyError("scene")


def greedy(command, velocity):
    command[0] = 9.0


def _driven(veto) -> Bench:
    bench = Bench(veto=veto)
    bench.tick(2)
    bench.offer(CHUNK)
    bench.tick(40)
    return bench


def test_a_veto_holds_within_limits_is_counted_and_said():
    bench = _driven(wall_at_0_2)
    vetoed = next(t for t in bench.ticks if "vetoed" in t.reason)
    assert vetoed.state is ExecutorState.HOLDING
    assert vetoed.reason.startswith("vetoed: the shoulder would pass 0.2")
    assert bench.executor.commanded.vetoed_ticks == 1
    assert 0.13 < bench.commands()[:, 0].max() < 0.2
    assert_within_limits(bench.commands(), bench.robot)


def test_a_vetoed_chunk_never_resumes():
    bench = _driven(wall_at_0_2)
    assert bench.tick(20).state is ExecutorState.HOLDING
    assert bench.executor.commanded.vetoed_ticks == 1


def test_an_exception_in_the_veto_is_a_veto():
    bench = _driven(broken)
    assert bench.ticks[3].reason == "the veto failed: KeyError('scene')"
    assert bench.commands()[-1].tolist() == START.tolist()


def test_the_veto_cannot_change_the_command():
    bench = _driven(greedy)
    assert "read-only" in bench.ticks[-1].reason
    assert bench.commands()[-1].tolist() == START.tolist()


def test_a_veto_is_loaded_by_name():
    assert load_veto("test_veto:wall_at_0_2") is not None
    assert load_veto("") is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module:veto", "No module named"),
        ("test_veto:no_such", "has no attribute 'no_such'"),
        ("test_veto", "module:attribute"),
        ("test_veto:CHUNK", "must be callable"),
    ],
)
def test_a_veto_that_cannot_be_loaded_says_what_to_give(path, words):
    with pytest.raises(ValueError, match=words):
        load_veto(path)
