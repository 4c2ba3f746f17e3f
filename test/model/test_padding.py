from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pi0_ros.model.inference import drop_padding


def layout(cameras: list[list[int]], words: list[list[int]], *, multiple: int = 1):
    """Zero stands for an invalid word; two tokens a view."""
    tokens = torch.tensor(words)
    return drop_padding(
        torch.tensor(cameras).bool(), tokens, tokens > 0, view_tokens=2, multiple=multiple
    )


def test_one_sample_keeps_its_cameras_and_words_and_nothing_else() -> None:
    kept = layout([[1, 0, 1]], [[7, 8, 0, 9, 0]])
    assert kept.views == (0, 2)
    assert kept.tokens == ((7, 8, 9),)
    assert kept.complete
    assert kept.positions.tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    assert kept.lengths.tolist() == [[7]]
    assert kept.bucket == (1, 2, 3, True)


def test_a_batch_keeps_what_any_sample_has() -> None:
    kept = layout([[1, 0, 0], [0, 0, 1]], [[7, 0, 0, 0], [7, 8, 9, 0]])
    assert kept.views == (0, 2)
    assert kept.present.tolist() == [[True, False], [False, True]]
    assert kept.tokens == ((7, 0, 0), (7, 8, 9))
    assert kept.valid.int().tolist() == [[1, 1, 0, 0, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1]]
    assert kept.positions[0, [0, 1, 4]].tolist() == [0, 1, 2]
    assert kept.lengths.tolist() == [[3], [5]]
    assert not kept.complete


def test_prompts_of_similar_length_share_a_bucket() -> None:
    buckets = {layout([[1]], [[7] * n + [0] * (16 - n)], multiple=4).bucket for n in (5, 6, 7)}
    assert buckets == {(1, 1, 8, False)}
    assert layout([[1]], [[7] * 8], multiple=4).bucket == (1, 1, 8, True)


def test_present_views_are_found_in_the_given_and_in_the_kept_slots() -> None:
    kept = layout([[1, 0, 0], [1, 0, 1]], [[7], [7]])
    given_slots = [t.tolist() for t in kept.slots(torch.device("cpu"))]
    kept_slots = [t.tolist() for t in kept.columns(torch.device("cpu"))]
    assert given_slots == [[0, 1, 1], [0, 0, 2]]
    assert kept_slots == [[0, 1, 1], [0, 0, 1]]


def test_nothing_may_be_left() -> None:
    kept = layout([[0, 0]], [[0, 0]])
    assert kept.bucket == (1, 0, 0, True)
    assert kept.valid.shape == (1, 0)
    assert kept.lengths.tolist() == [[0]]


@given(
    cameras=st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=3),
    words=st.integers(0, 5),
    multiple=st.integers(1, 8),
)
def test_every_valid_token_is_kept(cameras, words: int, multiple: int) -> None:
    prompts = [[9] * words + [0] * (5 - words)] * len(cameras)
    kept = layout(cameras, prompts, multiple=multiple)
    expected = [[2 * sum(row) + words] for row in cameras]
    assert kept.lengths.tolist() == expected
    assert len(kept.tokens[0]) % multiple == 0


def test_refuses_to_round_up_to_nothing() -> None:
    with pytest.raises(ValueError, match="multiple is 0"):
        layout([[1]], [[7]], multiple=0)
