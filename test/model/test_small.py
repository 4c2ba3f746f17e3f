from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Batch
from small_networks import inputs, perturbed

from pi0_ros.model import flow
from pi0_ros.model.small import Pi0Small

EXACT = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(params=["train", "eval"])
def model(request: pytest.FixtureRequest) -> Pi0Small:
    """In both modes: torch takes other kernels for its encoder blocks in eval mode."""
    return perturbed().train(request.param == "train")


def sample(model: Pi0Small, x: Batch) -> torch.Tensor:
    return model.sample(x.inputs, x.noise, num_steps=4)


def test_sampling_encodes_once_and_equals_encoding_at_every_step(model: Pi0Small) -> None:
    x = inputs(model.config)
    encoded = 0

    def count(*_: object) -> None:
        nonlocal encoded
        encoded += 1

    handle = model.encoder.register_forward_hook(count)
    cached = sample(model, x)
    handle.remove()
    assert encoded == 1

    def uncached(actions: torch.Tensor, t: float) -> torch.Tensor:
        return model.velocity(x.inputs, actions, torch.full((2,), t))

    expected = flow.euler(uncached, x.noise, flow.euler_times(4))
    torch.testing.assert_close(cached, expected, **EXACT)


def test_a_denoise_step_from_the_prefix_is_the_velocity_of_the_whole_pass(model: Pi0Small) -> None:
    x = inputs(model.config)
    step = model.denoise_step(model.prefill(x.inputs), x.inputs.state, x.noise, x.time)
    whole = model.velocity(x.inputs, x.noise, x.time)
    torch.testing.assert_close(step, whole, **EXACT)


def test_sampling_again_from_a_prefix_gives_the_same_actions(model: Pi0Small) -> None:
    x = inputs(model.config)
    prefix = model.prefill(x.inputs)
    first = model.sample_actions(prefix, x.inputs.state, x.noise, num_steps=3)
    again = model.sample_actions(prefix, x.inputs.state, x.noise, num_steps=3)
    assert torch.equal(first, again)


def test_sampling_follows_the_times_it_is_given(model: Pi0Small) -> None:
    x = inputs(model.config)
    prefix = model.prefill(x.inputs)
    steps = model.sample_actions(prefix, x.inputs.state, x.noise, num_steps=5)
    times = model.sample_actions(prefix, x.inputs.state, x.noise, times=flow.euler_times(5))
    assert torch.equal(steps, times)
    assert not torch.allclose(
        steps, model.sample_actions(prefix, x.inputs.state, x.noise, times=(1.0, 0.3, 0.0))
    )


def test_a_batch_gives_what_its_samples_give_alone(model: Pi0Small) -> None:
    x = inputs(model.config, batch=3)
    alone = torch.cat([sample(model, x.row(i)) for i in range(3)])
    torch.testing.assert_close(sample(model, x), alone, **EXACT)


def test_an_absent_camera_changes_nothing_by_its_pixels(model: Pi0Small) -> None:
    x = inputs(model.config)
    before = sample(model, x)
    x.inputs.images[0, 1] = -1.0
    assert torch.equal(sample(model, x), before)
    x.inputs.images[0, 0] = -1.0
    assert not torch.allclose(sample(model, x), before)


def test_prompt_padding_changes_nothing_by_its_tokens(model: Pi0Small) -> None:
    x = inputs(model.config)
    before = sample(model, x)
    padding = ~x.inputs.token_mask[0]
    x.inputs.tokens[0, padding] = (x.inputs.tokens[0, padding] + 1) % model.config.vocab
    assert torch.equal(sample(model, x), before)
    x.inputs.tokens[0, 0] = (x.inputs.tokens[0, 0] + 1) % model.config.vocab
    assert not torch.allclose(sample(model, x), before)


def test_leaving_absent_cameras_and_padding_out_gives_the_same_actions(model: Pi0Small) -> None:
    x = inputs(model.config).row(0)
    views, words = x.inputs.image_mask[0], x.inputs.token_mask[0]
    slots = views.nonzero().flatten().tolist()
    assert slots == [0, 2]
    kept = replace(
        x.inputs,
        images=x.inputs.images[:, views],
        image_mask=x.inputs.image_mask[:, views],
        tokens=x.inputs.tokens[:, words],
        token_mask=x.inputs.token_mask[:, words],
    )
    shorter = model.prefill(kept, slots)
    actions = model.sample_actions(shorter, x.inputs.state, x.noise, num_steps=4)
    torch.testing.assert_close(actions, sample(model, x), **EXACT)


def test_each_camera_slot_has_weights_of_its_own(model: Pi0Small) -> None:
    x = inputs(model.config)
    x.inputs.images[:, 2] = x.inputs.images[:, 0]
    single = replace(x.inputs, images=x.inputs.images[:, :1], image_mask=x.inputs.image_mask[:, :1])
    one, other = (model.prefill(single, slots=[slot]) for slot in (0, 2))
    assert not torch.allclose(one.tokens[:, 0], other.tokens[:, 0], atol=1e-2)


@settings(max_examples=20, deadline=None)
@given(
    cameras=st.lists(st.booleans(), min_size=3, max_size=3),
    words=st.lists(st.booleans(), min_size=11, max_size=11),
    train=st.booleans(),
)
def test_masked_inputs_count_for_nothing_under_every_mask(
    cameras: list[bool], words: list[bool], train: bool
) -> None:
    model = perturbed().train(train)
    x = inputs(model.config, batch=1)
    images, tokens = x.inputs.images, x.inputs.tokens
    shown, valid = torch.tensor([cameras]), torch.tensor([words])
    masked = replace(x.inputs, image_mask=shown, token_mask=valid)
    first = model.sample(masked, x.noise, num_steps=2)
    other = replace(
        masked,
        images=torch.where(shown[:, :, None, None, None], images, -images),
        tokens=torch.where(valid, tokens, (tokens + 7) % model.config.vocab),
    )
    second = model.sample(other, x.noise, num_steps=2)
    assert first.isfinite().all()
    assert torch.equal(first, second)


def test_every_action_step_sees_every_other(model: Pi0Small) -> None:
    x = inputs(model.config)
    before = model.velocity(x.inputs, x.noise, x.time)
    x.noise[:, -1] += 1
    after = model.velocity(x.inputs, x.noise, x.time)
    assert ((after - before).abs().amax(dim=-1) > 1e-6).all()


def test_the_steps_of_a_chunk_are_told_apart(model: Pi0Small) -> None:
    x = inputs(model.config)
    forward = model.velocity(x.inputs, x.noise, x.time)
    backward = model.velocity(x.inputs, x.noise.flip(1), x.time).flip(1)
    assert not torch.allclose(forward, backward, atol=1e-3)


def test_state_and_time_count(model: Pi0Small) -> None:
    x = inputs(model.config)
    before = model.velocity(x.inputs, x.noise, x.time)
    assert not torch.allclose(
        model.velocity(replace(x.inputs, state=x.inputs.state + 1), x.noise, x.time), before
    )
    assert not torch.allclose(model.velocity(x.inputs, x.noise, x.time / 2), before)


def test_the_velocity_can_be_differentiated_by_the_noisy_actions_after_prefill(
    model: Pi0Small,
) -> None:
    x = inputs(model.config)
    actions = x.noise.requires_grad_()
    model.denoise_step(model.prefill(x.inputs), x.inputs.state, actions, x.time).sum().backward()
    assert actions.grad is not None
    assert actions.grad.abs().sum() > 0


def test_bfloat16_keeps_the_projections_in_float32(model: Pi0Small) -> None:
    x = inputs(model.config)
    exact = sample(model, x)
    model.to_bfloat16()
    kept = {n.split(".")[0] for n, p in model.named_parameters() if p.dtype == torch.float32}
    assert kept == {
        "state_proj",
        "action_in_proj",
        "action_position",
        "time_mlp_in",
        "time_mlp_out",
        "action_out_proj",
    }
    rounded = sample(model, x)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("images", lambda t: t[..., :-1], r"images have shape \(2, 3, 3, 24, 23\)"),
        (
            "images",
            lambda t: t[:, :2],
            r"images have shape \(2, 2, .+\): expected \(B, 3, 3, 24, 24\)",
        ),
        ("image_mask", lambda t: t[:, :2], r"image_mask has shape \(2, 2\): expected \(2, 3\)"),
        ("tokens", lambda t: t[:1], r"tokens has shape \(1, 11\): expected \(2, 11\)"),
        ("tokens", lambda t: torch.cat((t, t), 1), r"tokens have length 22: .+ 13 positions"),
        ("token_mask", lambda t: t[:, 1:], r"token_mask has shape \(2, 10\): expected \(2, 11\)"),
    ],
)
def test_refuses_a_prefix_of_wrong_shape(field, change, message) -> None:
    x = inputs(perturbed().config)
    wrong = replace(x.inputs, **{field: change(getattr(x.inputs, field))})
    with pytest.raises(ValueError, match=message):
        perturbed().prefill(wrong)


@pytest.mark.parametrize("slots", [[0, 0, 1], [0, 1, 3], [-1, 0, 1]])
def test_refuses_slots_that_do_not_exist_or_repeat(slots: list[int]) -> None:
    model = perturbed()
    with pytest.raises(ValueError, match=r"slots are .+: use each of 0 to 2 at most once"):
        model.prefill(inputs(model.config).inputs, slots=slots)


def test_refuses_state_and_noise_of_another_width() -> None:
    model = perturbed()
    x = inputs(model.config)
    prefix = model.prefill(x.inputs)
    with pytest.raises(ValueError, match=r"state has shape \(2, 8\): expected \(2, 9\)"):
        model.sample_actions(prefix, x.inputs.state[:, 1:], x.noise)
    with pytest.raises(ValueError, match=r"actions has shape \(2, 6, 9\): expected \(2, 7, 9\)"):
        model.sample_actions(prefix, x.inputs.state, x.noise[:, 1:])
