from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Batch, perturbed, random_inputs, small_config

from pi0_ros.model import Pi0, flow

EXACT = {"atol": 1e-5, "rtol": 0}
KINDS = {
    "pi0": small_config(),
    "pi05": small_config(pi05=True),
    "one kv head": small_config(kv_heads=1),
    "as many kv heads": small_config(kv_heads=6),
}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Pi0:
    return perturbed(KINDS[request.param])


def sample(model: Pi0, x: Batch) -> torch.Tensor:
    return model.sample(x.inputs, x.noise, num_steps=4)


def test_a_cached_prefix_gives_the_velocity_of_the_joint_pass(model: Pi0) -> None:
    x = random_inputs(model.config)
    cached = model.denoise_step(model.prefill(x.inputs), x.inputs.state, x.noise, x.time)
    uncached = model.velocity(x.inputs, x.noise, x.time)
    torch.testing.assert_close(cached, uncached, **EXACT)


def test_sampling_from_the_cache_equals_sampling_by_joint_passes(model: Pi0) -> None:
    x = random_inputs(model.config)

    def uncached(actions: torch.Tensor, t: float) -> torch.Tensor:
        return model.velocity(x.inputs, actions, torch.full((2,), t))

    expected = flow.euler(uncached, x.noise, flow.euler_times(4))
    torch.testing.assert_close(sample(model, x), expected, **EXACT)


def test_denoising_leaves_the_cache_as_it_was(model: Pi0) -> None:
    x = random_inputs(model.config)
    prefix = model.prefill(x.inputs)
    first = model.sample_actions(prefix, x.inputs.state, x.noise, num_steps=3)
    again = model.sample_actions(prefix, x.inputs.state, x.noise, num_steps=3)
    assert prefix.keys_values[0][0].shape[2] == prefix.visible.shape[2] - prefix.visible.shape[1]
    assert torch.equal(first, again)


def test_a_batch_gives_what_its_samples_give_alone(model: Pi0) -> None:
    x = random_inputs(model.config, batch=3)
    alone = torch.cat([sample(model, x.row(i)) for i in range(3)])
    torch.testing.assert_close(sample(model, x), alone, **EXACT)


def test_an_absent_camera_changes_nothing_by_its_pixels(model: Pi0) -> None:
    x = random_inputs(model.config)
    before = sample(model, x)
    x.inputs.images[0, 1] = -1.0
    assert torch.equal(sample(model, x), before)
    x.inputs.images[0, 0] = -1.0
    assert not torch.allclose(sample(model, x), before)


def test_prompt_padding_changes_nothing_by_its_tokens(model: Pi0) -> None:
    x = random_inputs(model.config)
    before = sample(model, x)
    padding = ~x.inputs.token_mask[0]
    x.inputs.tokens[0, padding] = (x.inputs.tokens[0, padding] + 1) % model.config.vocab
    assert torch.equal(sample(model, x), before)
    x.inputs.tokens[0, 0] = (x.inputs.tokens[0, 0] + 1) % model.config.vocab
    assert not torch.allclose(sample(model, x), before)


def test_leaving_absent_cameras_and_padding_out_gives_the_same_actions(model: Pi0) -> None:
    x = random_inputs(model.config).row(0)
    views, words = x.inputs.image_mask[0], x.inputs.token_mask[0]
    kept = replace(
        x.inputs,
        images=x.inputs.images[:, views],
        image_mask=x.inputs.image_mask[:, views],
        tokens=x.inputs.tokens[:, words],
        token_mask=x.inputs.token_mask[:, words],
    )
    shorter = model.sample(kept, x.noise, num_steps=4)
    torch.testing.assert_close(shorter, sample(model, x), **EXACT)


@settings(max_examples=20, deadline=None)
@given(
    cameras=st.lists(st.booleans(), min_size=3, max_size=3),
    words=st.lists(st.booleans(), min_size=11, max_size=11),
)
def test_cache_and_joint_pass_agree_under_every_mask(
    cameras: list[bool], words: list[bool]
) -> None:
    model = perturbed(small_config())
    x = random_inputs(model.config, batch=1)
    inputs = replace(x.inputs, image_mask=torch.tensor([cameras]), token_mask=torch.tensor([words]))
    cached = model.denoise_step(model.prefill(inputs), inputs.state, x.noise, x.time)
    uncached = model.velocity(inputs, x.noise, x.time)
    assert cached.isfinite().all()
    torch.testing.assert_close(cached, uncached, **EXACT)


def test_every_action_step_sees_every_other(model: Pi0) -> None:
    x = random_inputs(model.config)
    before = model.velocity(x.inputs, x.noise, x.time)
    x.noise[:, -1] += 1
    after = model.velocity(x.inputs, x.noise, x.time)
    assert ((after - before).abs().amax(dim=-1) > 1e-6).all()


def test_pi0_reads_the_state_and_pi05_does_not() -> None:
    for pi05 in (False, True):
        model = perturbed(small_config(pi05=pi05))
        x = random_inputs(model.config)
        moved = model.sample(replace(x.inputs, state=x.inputs.state + 1), x.noise, num_steps=2)
        unmoved = model.sample(x.inputs, x.noise, num_steps=2)
        assert torch.equal(moved, unmoved) is pi05


def test_the_loss_is_the_squared_error_of_the_velocity_per_element(model: Pi0) -> None:
    x = random_inputs(model.config)
    t = x.time[:, None, None]
    velocity = model.velocity(x.inputs, t * x.noise + (1 - t) * x.actions, x.time)
    expected = (velocity - (x.noise - x.actions)) ** 2
    loss = model.loss(x.inputs, x.actions, x.noise, x.time)
    torch.testing.assert_close(loss, expected)
    assert loss.shape == x.actions.shape


def test_the_loss_reaches_every_weight_that_can_matter(model: Pi0) -> None:
    """All but the backbone's last outputs: the prefix acts only through keys and values."""
    model.requires_grad_(True)
    x = random_inputs(model.config)
    model.loss(x.inputs, x.actions, x.noise, x.time).mean().backward()
    untouched = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    last = f"backbone.layers.{model.config.backbone.depth - 1}."
    assert all(n.startswith((last, "backbone.norm.")) for n in untouched), untouched


def test_the_velocity_can_be_differentiated_by_the_noisy_actions_after_prefill(model: Pi0) -> None:
    x = random_inputs(model.config)
    actions = x.noise.requires_grad_()
    model.denoise_step(model.prefill(x.inputs), x.inputs.state, actions, x.time).sum().backward()
    assert actions.grad is not None
    assert actions.grad.abs().sum() > 0


def test_bfloat16_keeps_embeddings_norms_and_projections_in_float32(model: Pi0) -> None:
    x = random_inputs(model.config)
    exact = sample(model, x)
    model.to_bfloat16()
    kept = {n for n, p in model.named_parameters() if p.dtype == torch.float32}
    assert "vision.patch_embedding.weight" in kept
    assert "vision.position_embedding.weight" in kept
    assert "vision.layers.0.layer_norm1.weight" not in kept
    assert "embed_tokens.weight" not in kept
    norms = ("backbone.norm", "input_layernorm", "post_attention_layernorm", "expert.norm")
    assert all(n in kept for n, _ in model.named_parameters() if any(k in n for k in norms))
    assert not any("_proj" in n and "layers" in n for n in kept)
    assert "action_out_proj.weight" in kept
    rounded = sample(model, x)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("images", lambda t: t[..., :-1], r"images have shape \(2, 3, 3, 32, 31\)"),
        ("image_mask", lambda t: t[:, :2], r"image_mask has shape \(2, 2\): expected \(2, 3\)"),
        ("tokens", lambda t: t[:1], r"tokens has shape \(1, 11\): expected \(2, 11\)"),
        ("token_mask", lambda t: t[:, 1:], r"token_mask has shape \(2, 10\): expected \(2, 11\)"),
    ],
)
def test_refuses_a_prefix_of_wrong_shape(field, change, message) -> None:
    model = perturbed(small_config())
    x = random_inputs(model.config)
    wrong = replace(x.inputs, **{field: change(getattr(x.inputs, field))})
    with pytest.raises(ValueError, match=message):
        model.prefill(wrong)


def test_refuses_state_and_noise_of_another_width() -> None:
    model = perturbed(small_config())
    x = random_inputs(model.config)
    prefix = model.prefill(x.inputs)
    with pytest.raises(ValueError, match=r"state has shape \(2, 8\): expected \(2, 9\)"):
        model.sample_actions(prefix, x.inputs.state[:, 1:], x.noise)
    with pytest.raises(ValueError, match=r"actions has shape \(2, 6, 9\): expected \(2, 7, 9\)"):
        model.sample_actions(prefix, x.inputs.state, x.noise[:, 1:])
