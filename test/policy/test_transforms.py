"""Every transform against figures of the specification, and against its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pi0_ros.embodiment import load
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.transforms import (
    DeltaActions,
    Quantile,
    ZScore,
    clean_prompt,
    place_views,
    state_bins,
    state_prompt,
)

WIDTH = 3
values = arrays(np.float64, (4, WIDTH), elements=st.floats(-100, 100))
offsets = arrays(np.float64, (WIDTH,), elements=st.floats(-10, 10))
spreads = arrays(np.float64, (WIDTH,), elements=st.floats(1e-3, 10))
states = arrays(np.float64, (WIDTH,), elements=st.floats(-10, 10))


def test_zscore_adds_eps_to_the_deviation() -> None:
    norm = ZScore(np.array([0.5]), np.array([0.25]), 1e-6, 1e-6)
    assert norm.forward(np.array([1.0]))[0] == pytest.approx(1.999992, abs=5e-7)


def test_lerobot_adds_its_eps_forward_only() -> None:
    norm = ZScore(np.array([0.5]), np.array([0.25]), 1e-8, 0.0)
    assert norm.forward(np.array([1.0]))[0] == pytest.approx(1.99999992, abs=5e-9)
    assert norm.inverse(np.array([2.0]))[0] == 1.0


def test_quantile_maps_the_quantiles_to_plus_and_minus_one_without_clipping() -> None:
    norm = Quantile(np.array([0.0]), np.array([10.0]), 1e-6, 1e-6)
    found = norm.forward(np.array([[0.0], [10.0], [20.0]]))
    np.testing.assert_allclose(found[:, 0], [-1.0, 1.0, 3.0], atol=1e-6)


@given(values, offsets, spreads)
def test_zscore_is_undone_by_its_inverse(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> None:
    norm = ZScore(mean, std, 1e-6, 1e-6)
    np.testing.assert_allclose(norm.inverse(norm.forward(x)), x, atol=1e-9)


@given(values, offsets, spreads)
def test_quantile_is_undone_by_its_inverse(
    x: np.ndarray, low: np.ndarray, spread: np.ndarray
) -> None:
    norm = Quantile(low, low + spread, 1e-6, 1e-6)
    np.testing.assert_allclose(norm.inverse(norm.forward(x)), x, atol=1e-9)


@given(values, states, st.lists(st.booleans(), min_size=WIDTH, max_size=WIDTH))
def test_delta_actions_are_undone_by_their_inverse(
    actions: np.ndarray, state: np.ndarray, mask: list[bool]
) -> None:
    delta = DeltaActions(np.array(mask), np.array([2, 0, 1]))
    np.testing.assert_allclose(
        delta.inverse(delta.forward(actions, state), state), actions, atol=1e-9
    )


def test_delta_actions_are_relative_only_where_the_mask_says_so() -> None:
    delta = DeltaActions(np.array([True, False]), np.array([0, 1]))
    found = delta.inverse(np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([10.0, 20.0]))
    np.testing.assert_array_equal(found, [[11.0, 1.0], [12.0, 2.0]])


def test_delta_actions_follow_the_state_by_name() -> None:
    embodiment = load("ur5e")
    delta = DeltaActions.of(embodiment, [True] * 6 + [False])
    state = np.arange(7.0)
    found = delta.inverse(np.zeros((1, 7)), state)
    np.testing.assert_array_equal(found[0], [0, 1, 2, 3, 4, 5, 0])


def test_refuses_delta_actions_without_a_measured_state() -> None:
    mobile = load("mobile_fibocom")
    with pytest.raises(PolicyError, match="relative to the state, but mobile_fibocom"):
        DeltaActions.of(mobile, [True] * len(mobile.action))


def test_views_become_channels_first_from_minus_one_to_one() -> None:
    images = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    images[0, 0, 0] = (255, 0, 51)
    placed, mask = place_views(images, [True])
    assert placed.shape == (1, 3, 2, 2)
    assert placed.dtype == np.float32
    np.testing.assert_allclose(placed[0, :, 0, 0], [1.0, -1.0, -0.6], atol=1e-6)
    assert mask.tolist() == [True]


def test_a_missing_view_keeps_its_place_in_black_and_masked() -> None:
    images = np.stack([np.full((2, 2, 3), 0, np.uint8), np.full((2, 2, 3), 255, np.uint8)])
    placed, mask = place_views(images, [True, False, True])
    assert mask.tolist() == [True, False, True]
    assert (placed[1] == -1.0).all()
    assert (placed[2] == 1.0).all()


def test_refuses_more_views_than_slots() -> None:
    with pytest.raises(PolicyError, match="2 views for 1 present"):
        place_views(np.zeros((2, 2, 2, 3), np.uint8), [True, False])


def test_refuses_float_images() -> None:
    with pytest.raises(PolicyError, match="images are float32"):
        place_views(np.zeros((1, 2, 2, 3), np.float32), [True])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("  fold the shirt \n", "fold the shirt"),
        ("pick_up_the cube", "pick up the cube"),
        ("first\nthen", "first then"),
        ("Keep The Case", "Keep The Case"),
    ],
)
def test_cleans_the_prompt_as_openpi_does(prompt: str, cleaned: str) -> None:
    assert clean_prompt(prompt) == cleaned


@pytest.mark.parametrize("prompt", ["", "  ", "\n", "_", " __ "])
def test_refuses_an_empty_prompt(prompt: str) -> None:
    with pytest.raises(PolicyError, match="the prompt is empty"):
        clean_prompt(prompt)


def test_state_bins_are_those_of_the_specification() -> None:
    assert state_bins(np.array([-1.01, -1.0, 0.0, 0.999, 1.5])).tolist() == [-1, 0, 128, 255, 255]


def test_the_state_prompt_carries_the_bins() -> None:
    assert state_prompt("fold", np.array([-1.0, 0.0])) == "Task: fold, State: 0 128;\nAction: "
