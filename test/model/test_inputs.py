from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from networks import random_inputs, small_config

from pi0_ros.model import Inputs

INPUTS = random_inputs(small_config(), batch=3).inputs


def test_stacked_samples_are_the_batch_they_come_from() -> None:
    samples = [INPUTS.map(lambda t, i=i: t[i]) for i in range(3)]
    batch = Inputs.stack(samples)
    assert all(torch.equal(getattr(batch, f.name), getattr(INPUTS, f.name)) for f in fields(Inputs))


def test_casting_leaves_tokens_and_masks_as_they_are() -> None:
    cast = INPUTS.to(dtype=torch.bfloat16)
    assert (cast.images.dtype, cast.state.dtype) == (torch.bfloat16, torch.bfloat16)
    assert (cast.tokens.dtype, cast.image_mask.dtype) == (torch.int64, torch.bool)


def test_moves_every_tensor() -> None:
    moved = INPUTS.to("meta")
    assert {getattr(moved, f.name).device.type for f in fields(Inputs)} == {"meta"}
    assert moved.images.dtype == INPUTS.images.dtype


def test_refuses_another_number_of_views_where_the_network_has_one() -> None:
    INPUTS.check_prefix(32)
    INPUTS.check_prefix(32, views=3)
    with pytest.raises(ValueError, match=r"images have shape .+: expected \(B, 2, 3, 32, 32\)"):
        INPUTS.check_prefix(32, views=2)
    with pytest.raises(ValueError, match=r"expected \(B, V, 3, 32, 32\)"):
        replace(INPUTS, images=INPUTS.images[0]).check_prefix(32)
