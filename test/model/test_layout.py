from __future__ import annotations

import torch

from pi0_ros.model.pi0 import token_layout


def test_tokens_see_their_own_and_earlier_blocks() -> None:
    """Two prefix tokens, the state, two actions."""
    visible, positions = token_layout(torch.ones(1, 2, dtype=torch.bool), [True, True, False])
    expected = [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
    ]
    assert visible[0].int().tolist() == expected
    assert positions.tolist() == [[0, 1, 2, 3, 4]]


def test_an_invalid_token_is_seen_by_itself_alone_and_takes_no_position() -> None:
    valid = torch.tensor([[True, False, True]])
    visible, positions = token_layout(valid, [True, False])
    expected = [
        [1, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [1, 0, 1, 0, 0],
        [1, 0, 1, 1, 1],
        [1, 0, 1, 1, 1],
    ]
    assert visible[0].int().tolist() == expected
    assert positions[0, [0, 2, 3, 4]].tolist() == [0, 1, 2, 3]


def test_full_size_with_the_third_camera_absent_and_seven_words() -> None:
    cameras = torch.tensor([True, True, False]).repeat_interleave(256)
    words = torch.arange(48) < 7
    suffix = [True, True] + [False] * 49
    visible, positions = token_layout(torch.cat((cameras, words))[None], suffix)
    state, actions = 816, slice(817, 867)
    assert positions[0, state] == 519
    assert positions[0, actions].tolist() == list(range(520, 570))
    assert visible[0, state].sum() == 520
    assert visible[0, actions].sum(dim=-1).unique().tolist() == [570]
    assert not visible[0, state:, 512:768].any()
    assert not visible[0, state:, 775:816].any()
