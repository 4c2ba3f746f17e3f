"""Transforms composed for one checkpoint and one embodiment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pi0_ros.checkpoint import load_manifest
from pi0_ros.embodiment import available, load
from pi0_ros.embodiment.packing import pad_state, state_slots
from pi0_ros.policy.aloha import robot_transforms
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.pipeline import Pipeline
from pi0_ros.policy.tokens import PromptTokenizer, Tokens
from pi0_ros.policy.transforms import DeltaActions, Quantile, ZScore, state_prompt
from pi0_ros.policy.types import Observation

UR5E = load("ur5e")


@pytest.fixture
def pipeline(checkpoint: Path) -> Pipeline:
    manifest = load_manifest(checkpoint)
    return Pipeline.of(manifest, checkpoint / manifest.tokenizer, UR5E)


def observation(**changes: object) -> Observation:
    views = np.zeros((2, 224, 224, 3), dtype=np.uint8)
    views[1] = 255
    plain = Observation(
        images=views,
        slot_mask=UR5E.slot_mask,
        state=np.linspace(-0.5, 0.5, 7),
        prompt="fold_the towel",
        stamp_ns=0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_inputs_have_the_shapes_of_the_model(pipeline: Pipeline) -> None:
    inputs = pipeline.prepare(observation())
    assert inputs.images.shape == (3, 3, 224, 224)
    assert inputs.image_mask.tolist() == [True, True, False]
    assert inputs.tokens.shape == inputs.token_mask.shape == (48,)
    assert inputs.state.shape == (32,)
    assert inputs.state.dtype == np.float32


def test_views_go_to_their_slots(pipeline: Pipeline) -> None:
    inputs = pipeline.prepare(observation())
    assert [float(view.mean()) for view in inputs.images] == [-1.0, 1.0, -1.0]


def test_the_state_is_normalised_before_it_is_padded(pipeline: Pipeline) -> None:
    state = np.linspace(-0.5, 0.5, 7)
    inputs = pipeline.prepare(observation(state=state))
    slots = [dimension.slots.checkpoint for dimension in UR5E.state]
    np.testing.assert_allclose(inputs.state[slots], pipeline.state_norm.forward(state), rtol=1e-6)
    others = np.setdiff1d(np.arange(32), slots)
    assert (inputs.state[others] == 0.0).all()


def test_tokens_are_bos_text_and_a_line_break_on_its_own(
    pipeline: Pipeline, checkpoint: Path
) -> None:
    inputs = pipeline.prepare(observation(prompt=" fold_the towel\n"))
    pieces = sentencepiece.SentencePieceProcessor()
    pieces.LoadFromFile(str(checkpoint / "tokenizer.model"))
    expected = [2, *pieces.encode("fold the towel"), *pieces.encode("\n")]
    count = len(expected)
    assert inputs.tokens[:count].tolist() == expected
    assert (inputs.tokens[count:] == 0).all()
    assert inputs.token_mask.tolist() == [True] * count + [False] * (48 - count)


def test_targets_undo_actions(pipeline: Pipeline) -> None:
    mask = np.array([True] * 6 + [False])
    relative = replace(pipeline, delta=replace(pipeline.delta, mask=mask))
    state = np.linspace(-0.5, 0.5, 7)
    actions = np.random.default_rng(0).uniform(-1, 1, (50, 7))
    output = relative.targets(actions, state)
    assert output.shape == (50, 32)
    np.testing.assert_allclose(relative.actions(output, state), actions, atol=1e-5)


def aloha(pipeline: Pipeline, delta_mask: list[bool]) -> Pipeline:
    """The same statistics for every dimension of two ViperX arms."""
    trossen = load("bimanual_trossen")
    state, actions = robot_transforms("aloha", trossen)
    return replace(
        pipeline,
        embodiment=trossen,
        view_order=(0, 1, 2),
        state_norm=ZScore(np.full(14, 0.1), np.full(14, 0.5), 1e-6, 1e-6),
        action_norm=ZScore(np.full(14, -0.2), np.full(14, 0.25), 1e-6, 1e-6),
        robot_state=state,
        robot_actions=actions,
        delta=DeltaActions.of(trossen, delta_mask),
    )


@given(
    arrays(np.float64, (3, 14), elements=st.floats(-3.0, 3.0)),
    arrays(np.float64, (14,), elements=st.floats(0.0, 1.0)),
    st.lists(st.booleans(), min_size=14, max_size=14),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_targets_undo_actions_in_a_robots_own_conventions(
    pipeline: Pipeline, actions: np.ndarray, state: np.ndarray, delta_mask: list[bool]
) -> None:
    composed = aloha(pipeline, delta_mask)
    output = composed.targets(actions, state)
    np.testing.assert_allclose(composed.actions(output, state), actions, atol=1e-5)


def test_a_joint_is_mirrored_before_it_is_normalised_and_after_it_is_made_absolute(
    pipeline: Pipeline,
) -> None:
    arms = aloha(pipeline, [True] * 6 + [False] + [True] * 6 + [False])
    state = np.zeros(14)
    state[1] = 0.6  # the left shoulder, which the checkpoint knows as -0.6
    views = np.zeros((3, 224, 224, 3), dtype=np.uint8)
    seen = arms.prepare(observation(images=views, slot_mask=(True,) * 3, state=state))
    assert seen.state[1] == pytest.approx((-0.6 - 0.1) / 0.5, abs=1e-4)
    output = np.zeros((1, 32), np.float32)  # the mean, -0.2, relative to -0.6
    assert arms.actions(output, state)[0, 1] == pytest.approx(0.8, abs=1e-6)


def test_the_manifest_says_which_conventions(checkpoint: Path) -> None:
    manifest = load_manifest(checkpoint)
    assert manifest.robot_transform == "none"
    with pytest.raises(PolicyError, match="robot_transform is aloha and ur5e"):
        Pipeline.of(
            replace(manifest, robot_transform="aloha"), checkpoint / manifest.tokenizer, UR5E
        )


def test_zero_output_is_the_mean_action(pipeline: Pipeline, checkpoint: Path) -> None:
    actions = pipeline.actions(np.zeros((50, 32), np.float32), np.zeros(7))
    mean = load_manifest(checkpoint).normalisation.actions.mean
    np.testing.assert_allclose(actions, np.tile(mean, (50, 1)), atol=1e-6)
    assert actions.dtype == np.float32


def test_refuses_model_output_with_nan_and_names_the_dimension(pipeline: Pipeline) -> None:
    output = np.zeros((50, 32), np.float32)
    output[3, UR5E.action[2].slots.checkpoint] = np.nan
    with pytest.raises(PolicyError, match=f"not finite in {UR5E.action[2].name}$"):
        pipeline.actions(output, np.zeros(7))


def test_refuses_actions_that_single_precision_does_not_hold(pipeline: Pipeline) -> None:
    output = np.zeros((50, 32), np.float32)
    output[3, UR5E.action[2].slots.checkpoint] = 1e38
    wide = replace(pipeline, action_norm=ZScore(np.zeros(7), np.full(7, 10.0), 0.0, 0.0))
    with pytest.raises(PolicyError, match=f"not finite in {UR5E.action[2].name}$"):
        wide.actions(output, np.zeros(7))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": "fold the towel " * 50}, r"prompt 'fold the .* tokens and the model takes 48"),
        ({"state": np.full(7, np.nan)}, "7 finite numbers expected"),
        ({"state": np.zeros(6)}, "7 finite numbers expected"),
        ({"images": np.zeros((2, 96, 96, 3), np.uint8)}, "image_size:=224"),
        ({"images": np.zeros((1, 224, 224, 3), np.uint8)}, "1 views for 2 present"),
        ({"images": np.zeros((2, 224, 224, 3), np.float32)}, "images are float32"),
        ({"slot_mask": (True, True, True)}, "views in slots"),
        ({"slot_mask": (True, False, True)}, "views in slots"),
    ],
)
def test_refuses_an_observation_that_does_not_fit(
    pipeline: Pipeline, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        pipeline.prepare(observation(**changes))


def test_pi05_trained_without_the_state_never_sees_it(checkpoint: Path) -> None:
    manifest = load_manifest(checkpoint)
    unseen = replace(manifest, model=replace(manifest.model, pi05=True), state_in_prompt=False)
    pi0, pi05 = (Pipeline.of(m, checkpoint / m.tokenizer, UR5E) for m in (manifest, unseen))
    one = pi05.prepare(observation(state=np.zeros(7)))
    other = pi05.prepare(observation(state=np.ones(7)))
    np.testing.assert_array_equal(one.tokens, other.tokens)
    np.testing.assert_array_equal(one.tokens, pi0.prepare(observation()).tokens)


def test_pi05_carries_the_state_in_the_prompt(pipeline: Pipeline, checkpoint: Path) -> None:
    whole = PromptTokenizer(checkpoint / "tokenizer.model", max_tokens=200, vocab=512)
    pi05 = replace(pipeline, state_in_prompt=True, tokenizer=whole)
    one = pi05.prepare(observation(state=np.zeros(7)))
    other = pi05.prepare(observation(state=np.ones(7)))
    assert one.tokens.shape == (200,)
    assert not np.array_equal(one.tokens, other.tokens)


class Reading:
    """Stores the text it is asked to encode."""

    def encode_whole(self, text: str) -> Tokens:
        self.text = text
        return np.zeros(200, np.int64), np.zeros(200, np.bool_)

    encode_task = encode_whole


@pytest.mark.parametrize("name", available())
def test_the_state_is_in_the_prompt_of_pi05_in_the_order_of_the_slots(
    pipeline: Pipeline, name: str
) -> None:
    robot, reading = load(name), Reading()
    state = np.linspace(-0.9, 0.9, len(robot.state))
    count, views = len(state), sum(robot.slot_mask)
    as_it_is, _ = robot_transforms("none", robot)
    pi05 = replace(
        pipeline,
        embodiment=robot,
        view_order=tuple(range(views)),
        state_in_prompt=True,
        state_norm=Quantile(np.full(count, -1.0), np.full(count, 1.0), 0.0, 0.0),
        robot_state=as_it_is,
        tokenizer=reading,
    )
    images = np.zeros((views, 224, 224, 3), np.uint8)
    pi05.prepare(observation(images=images, slot_mask=robot.slot_mask, state=state))
    model = pad_state(robot, state, 32)
    slots = np.sort(state_slots(robot, 32))
    assert reading.text == state_prompt("fold the towel", model[slots])


def test_refuses_a_tokenizer_larger_than_the_vocabulary(checkpoint: Path) -> None:
    with pytest.raises(PolicyError, match="the model knows 10"):
        PromptTokenizer(checkpoint / "tokenizer.model", max_tokens=48, vocab=10)


def test_refuses_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(b"not a model")
    with pytest.raises(PolicyError, match="not a SentencePiece model"):
        PromptTokenizer(path, max_tokens=48, vocab=512)
