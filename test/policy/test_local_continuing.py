"""Chunks that continue another one, from a checkpoint in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pi0_ros.checkpoint import load, save
from pi0_ros.embodiment import load as load_embodiment
from pi0_ros.policy.backends.local import LocalPolicy, example_observation
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.options import InferenceOptions, RtcOptions
from pi0_ros.policy.types import STAGES, RemainingActions

UR5E = load_embodiment("ur5e")
EXAMPLE = example_observation(UR5E, 224)
MOVED = replace(EXAMPLE, state=EXAMPLE.state + 0.05 * np.arange(1, 8))
STEPS, DELAY = 16, 5
PREFIX, GUIDED = RtcOptions(mode="prefix"), RtcOptions()


@pytest.fixture(scope="module")
def policy(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalPolicy:
    """Whose arm is commanded relative to the state, and whose gripper is not."""
    loaded = load(checkpoint)
    directory = tmp_path_factory.mktemp("continuing") / "delta"
    manifest = replace(loaded.manifest, delta_mask=(True,) * 6 + (False,))
    save(directory, loaded.model, manifest, loaded.tokenizer_path.read_bytes())
    return LocalPolicy(
        directory, UR5E, InferenceOptions(seed=0, num_steps=5, continuing=RtcOptions())
    )


@pytest.fixture(scope="module")
def old(policy: LocalPolicy) -> np.ndarray:
    """The remaining actions of a chunk."""
    return policy.infer(EXAMPLE).actions[STEPS:]


def remaining(old: np.ndarray, options: RtcOptions, delay: int = DELAY) -> RemainingActions:
    return RemainingActions(actions=old, delay=delay, options=options)


def test_frozen_rows_are_the_old_absolute_actions_though_the_state_is_another(
    policy: LocalPolicy, old: np.ndarray
) -> None:
    chunk = policy.infer(MOVED, remaining(old, PREFIX))
    np.testing.assert_allclose(chunk.actions[:DELAY], old[:DELAY], atol=1e-6)
    # An actions-only network would have moved along with the state.
    free = policy.infer(MOVED).actions
    assert np.abs(free[:DELAY, 5] - old[:DELAY, 5]).mean() > 0.1


def test_guided_rows_lie_near_the_old_ones_and_the_last_rows_are_free(
    policy: LocalPolicy, old: np.ndarray
) -> None:
    rows = len(old)
    guided = policy.infer(MOVED, remaining(old, GUIDED)).actions[:rows]
    free = policy.infer(MOVED).actions[:rows]
    held = np.abs(guided - old)[:DELAY].mean()
    assert held < 0.2 * np.abs(free - old)[:DELAY].mean()
    assert np.abs(guided - old)[-2:].mean() > 5 * held


def test_every_stage_is_timed(policy: LocalPolicy, old: np.ndarray) -> None:
    chunk = policy.infer(MOVED, remaining(old, GUIDED))
    assert chunk.stage_names == STAGES
    assert all(duration > 0.0 for duration in chunk.stage_ms)
    assert sum(chunk.stage_ms[:-1]) == pytest.approx(chunk.stage_ms[-1])


@pytest.mark.parametrize("schedule", ["linear", "ones", "zeros"])
def test_every_schedule_gives_a_chunk(policy: LocalPolicy, old: np.ndarray, schedule: str) -> None:
    options = RtcOptions(schedule=schedule, max_guidance=2.0)
    assert np.isfinite(policy.infer(MOVED, remaining(old, options)).actions).all()


def test_without_remaining_rows_it_is_plain_sampling(policy: LocalPolicy, old: np.ndarray) -> None:
    chunk = policy.infer(EXAMPLE, remaining(old[:0], GUIDED, delay=0))
    assert np.isfinite(chunk.actions).all()


def test_pi0_can_and_pi0_small_cannot(policy: LocalPolicy, small_checkpoint: Path) -> None:
    assert policy.can_continue
    small = LocalPolicy(
        small_checkpoint, UR5E, InferenceOptions(num_steps=2, continuing=RtcOptions())
    )
    assert not small.can_continue
    actions = small.infer(EXAMPLE).actions
    with pytest.raises(PolicyError, match="π0-small cannot continue a chunk"):
        small.infer(EXAMPLE, remaining(actions, GUIDED))
