"""Other people's checkpoints become ours for one robot, or say what keeps them from it.

Over 300 lines: every case of one command, on the same few checkpoints.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece
import torch
from checkpoints import write
from foreign import (
    dimensions,
    weights,
    write_asset,
    write_legacy,
    write_lerobot,
    write_openpi,
    write_processors,
    write_tokenizer,
)
from safetensors.torch import load_file, save_file

from pi0_ros.checkpoint import CheckpointError, ConversionOptions, convert, load
from pi0_ros.embodiment import load as robot

UR5E = robot("ur5e")
SAID = ConversionOptions(delta=False)


def converted(source: Path, supplement: ConversionOptions = SAID, embodiment: str = "ur5e"):
    out = source.parent / "out"
    convert(source, robot(embodiment), out, supplement)
    return load(out)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "source"


@pytest.mark.parametrize("pi05", [False, True])
def test_openpi_brings_weights_statistics_and_tokenizer(source: Path, pi05: bool) -> None:
    write_openpi(source, dimensions(pi05=pi05))
    loaded = converted(source, ConversionOptions(delta=True))
    expected = weights(dimensions(pi05=pi05))
    assert all(torch.equal(t, expected[n]) for n, t in loaded.model.state_dict().items())
    manifest = loaded.manifest
    assert (manifest.embodiment, manifest.trained) == ("ur5e", True)
    assert manifest.delta_mask == (True,) * 6 + (False,)
    norm = manifest.normalisation
    assert norm.kind == ("quantile" if pi05 else "zscore")
    assert (norm.eps, norm.inverse_eps) == (1e-6, 1e-6)
    assert norm.state.std[6] == 0.5 + 0.01 * 6
    assert loaded.tokenizer_path.read_bytes() == (source / "tokenizer.model").read_bytes()


def test_half_width_weights_stay_so_on_disk(source: Path) -> None:
    write_openpi(source)
    path = source / "model.safetensors"
    save_file({k: t.bfloat16() for k, t in load_file(path).items()}, path)
    converted(source)
    stored = load_file(source.parent / "out" / "model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.bfloat16}


def test_lerobot_adds_its_eps_forward_only(source: Path) -> None:
    write_lerobot(source)
    norm = converted(source, ConversionOptions()).manifest.normalisation
    assert (norm.kind, norm.eps, norm.inverse_eps) == ("zscore", 1e-8, 0.0)
    assert (norm.state.mean, norm.actions.mean) == ((0.25,) * 7, (1.25,) * 7)


def test_lerobot_quantiles_have_no_eps(source: Path) -> None:
    write_lerobot(source, dimensions(pi05=True), mode="QUANTILES")
    norm = converted(source, ConversionOptions()).manifest.normalisation
    assert (norm.kind, norm.eps, norm.inverse_eps) == ("quantile", 0.0, 0.0)
    assert (norm.actions.q01, norm.actions.q99) == ((0.0,) * 7, (2.0,) * 7)


@pytest.mark.parametrize(("mode", "low", "high"), [("MIN_MAX", -1, 3), ("QUANTILE10", 0.5, 1.5)])
def test_lerobot_bounds_are_quantiles_by_another_name(
    source: Path, mode: str, low: float, high: float
) -> None:
    write_lerobot(source, mode=mode)
    norm = converted(source, ConversionOptions()).manifest.normalisation
    assert (norm.kind, norm.eps, norm.inverse_eps) == ("quantile", 0.0, 0.0)
    assert (norm.actions.q01, norm.actions.q99) == ((low,) * 7, (high,) * 7)


def test_lerobot_identity_changes_nothing(source: Path) -> None:
    write_lerobot(source, mode="IDENTITY")
    norm = converted(source, ConversionOptions()).manifest.normalisation
    assert (norm.state.mean, norm.state.std) == ((0.0,) * 7, (1.0,) * 7)


def test_lerobot_says_which_actions_are_relative(source: Path) -> None:
    write_lerobot(source)
    write_processors(source, relative=True)
    assert converted(source, ConversionOptions()).manifest.delta_mask == (True,) * 6 + (False,)


def test_refuses_a_normalisation_it_cannot_undo(source: Path) -> None:
    write_lerobot(source, mode="RANK")
    with pytest.raises(CheckpointError, match="STATE is normalised by RANK"):
        converted(source)


def test_old_lerobot_statistics_come_from_among_the_weights(source: Path) -> None:
    write_legacy(source, stats=0.5)
    norm = converted(source, ConversionOptions()).manifest.normalisation
    assert (norm.eps, norm.inverse_eps) == (1e-8, 0.0)
    assert norm.state.std == norm.actions.std == (0.5,) * 7


def test_infinite_statistics_are_none(source: Path) -> None:
    write_legacy(source, stats=float("inf"))
    with pytest.raises(CheckpointError, match=r"no statistics of observation\.state .*--stats"):
        converted(source)
    stats = write_asset(source.parent / "elsewhere", "ur5e", 7)
    norm = converted(source, ConversionOptions(stats=stats)).manifest.normalisation
    assert norm.eps == 1e-6


def test_statistics_as_wide_as_the_model_are_read_at_the_robot_s_slots(source: Path) -> None:
    write_openpi(source)
    write_asset(source, "ur5e", 32)
    norm = converted(source).manifest.normalisation
    assert norm.actions.mean == pytest.approx([0.01 * i for i in range(7)])


def test_several_assets_want_a_choice(source: Path) -> None:
    write_openpi(source)
    write_asset(source, "lab/franka", 8)
    with pytest.raises(CheckpointError, match="choose one of lab/franka, ur5e with --asset"):
        converted(source)
    with pytest.raises(CheckpointError, match="no asset 'arm'; it has lab/franka, ur5e"):
        converted(source, replace(SAID, asset="arm"))
    with pytest.raises(CheckpointError, match=r"8 values, ur5e has 7 state .* another robot"):
        converted(source, replace(SAID, asset="lab/franka"))
    assert converted(source, replace(SAID, asset="ur5e"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": [0.5] * 6 + [0.0]}, r"state\.std of gripper is 0: it must be above zero"),
        ({"mean": [float("nan")] * 7}, r"state\.mean is not a list of finite numbers"),
        ({"std": None}, r"state\.std is missing"),
        ({"std": [1.0] * 6}, r"state\.std has 6 values"),
    ],
)
def test_refuses_bad_statistics(source: Path, change: dict, message: str) -> None:
    write_openpi(source)
    write_asset(source, "ur5e", 7, **change)
    with pytest.raises(CheckpointError, match=message):
        converted(source)
    assert not (source.parent / "out").exists()


def test_lists_everything_that_is_missing_at_once(source: Path) -> None:
    write_openpi(source, configured=False)
    (source / "tokenizer.model").unlink()
    (source / "assets" / "ur5e" / "norm_stats.json").unlink()
    with pytest.raises(CheckpointError) as caught:
        converted(source, ConversionOptions())
    for fix in ("--stats", "--horizon", "--no-delta", "--tokenizer", "paligemma-3b-pt-224"):
        assert fix in str(caught.value)
    assert len(str(caught.value).splitlines()) == 4


def test_refuses_another_horizon(source: Path) -> None:
    write_openpi(source, replace(dimensions(), action_horizon=10))
    with pytest.raises(CheckpointError, match=r"predicts 10 steps and ur5e expects .*50"):
        converted(source)
    with pytest.raises(CheckpointError, match="--horizon is 50 and the configuration says 10"):
        converted(source, replace(SAID, horizon=50))


def test_the_horizon_can_be_given_where_nothing_says_it(source: Path) -> None:
    write_openpi(source, configured=False)
    assert converted(source, replace(SAID, horizon=50)).manifest.horizon == 50


def test_refuses_other_action_names_unless_told(source: Path) -> None:
    names = [f"motor_{i}.pos" for i in range(7)]
    write_lerobot(source, action_feature_names=names)
    with pytest.raises(CheckpointError, match=r"action dimension 0 'motor_0\.pos' and ur5e 'shoul"):
        converted(source)
    assert converted(source, replace(SAID, same_order=True))


def test_refuses_another_number_of_actions(source: Path) -> None:
    write_lerobot(source, action_feature_names=["a", "b"])
    with pytest.raises(CheckpointError, match="2 action dimensions and ur5e 7"):
        converted(source, replace(SAID, same_order=True))


def test_relative_actions_of_another_robot_are_refused_as_that(source: Path) -> None:
    write_lerobot(source, action_feature_names=["a", "b"], use_relative_actions=True)
    with pytest.raises(CheckpointError, match="has 2 action dimensions and ur5e 7"):
        converted(source, ConversionOptions())


def test_refuses_another_number_of_cameras(source: Path) -> None:
    features = {"observation.images.top": {"type": "VISUAL", "shape": [3, 28, 28]}}
    write_lerobot(source, input_features=features)
    with pytest.raises(CheckpointError, match=r"saw 1 cameras \(top\) and ur5e has 2"):
        converted(source)


def test_refuses_weights_that_are_not_finite_and_leaves_nothing_behind(source: Path) -> None:
    write_openpi(source)
    tensors = load_file(source / "model.safetensors")
    tensors["state_proj.weight"][0, 0] = float("nan")
    save_file(tensors, source / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not finite \(1\): state_proj\.weight"):
        converted(source)
    assert list((source.parent / "out").iterdir()) == []


def test_refuses_integer_weights_and_leaves_nothing_behind(source: Path) -> None:
    write_openpi(source)
    path = source / "model.safetensors"
    tensors = load_file(path)
    tensors["action_out_proj.bias"] = tensors["action_out_proj.bias"].int()
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"not floating point .*action_out_proj\.bias int32"):
        converted(source)
    assert not (source.parent / "out").exists()


def test_refuses_truncated_weights(source: Path) -> None:
    write_openpi(source)
    path = source / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="truncated or not a safetensors file"):
        converted(source)


def test_never_writes_over_a_checkpoint(source: Path) -> None:
    write_openpi(source)
    with pytest.raises(CheckpointError, match=r"holds model\.safetensors already"):
        convert(source, UR5E, source, SAID)
    with pytest.raises(CheckpointError, match="is a checkpoint of this suite"):
        convert(write(source.parent / "ours"), UR5E, source.parent / "out", SAID)


@pytest.mark.parametrize("where", ["given file", "given folder", "hub"])
def test_finds_the_tokenizer(source: Path, where: str) -> None:
    write_openpi(source)
    (source / "tokenizer.model").unlink()
    snapshot = source.parent / "hub/models--google--paligemma-3b-pt-224/snapshots/abc"
    folder = snapshot if where == "hub" else source.parent / "elsewhere"
    folder.mkdir(parents=True)
    write_tokenizer(folder)
    given = {"given file": folder / "tokenizer.model", "given folder": folder}.get(where)
    assert converted(source, replace(SAID, tokenizer=given)).tokenizer_path.is_file()


def test_refuses_what_is_no_tokenizer(source: Path) -> None:
    write_openpi(source)
    (source / "tokenizer.model").write_bytes(b"text")
    with pytest.raises(CheckpointError, match=r"not a SentencePiece model .* --tokenizer PATH"):
        converted(source)
    with pytest.raises(CheckpointError, match="nowhere: no SentencePiece model there"):
        converted(source, replace(SAID, tokenizer=Path("nowhere")))


def test_refuses_a_tokenizer_with_more_pieces_than_rows(source: Path) -> None:
    write_openpi(source, replace(dimensions(), vocab=100))
    with pytest.raises(CheckpointError, match="pieces and the token table has 100 rows"):
        converted(source)


def test_refuses_the_tokenizer_of_another_language_model(source: Path) -> None:
    write_openpi(source)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(  # with SentencePiece's own numbers, as Llama
        sentence_iterator=iter(["fold the towel"]),
        model_writer=model,
        model_type="bpe",
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (source / "tokenizer.model").write_bytes(model.getvalue())
    with pytest.raises(CheckpointError, match=r"pieces 1 and 2, of Gemma 2 and 1: .* --tokenizer"):
        converted(source)


@pytest.mark.parametrize("file", ["../x.safetensors", "stats.pkl"])
def test_a_processor_names_safetensors_of_its_folder_only(source: Path, file: str) -> None:
    write_lerobot(source)
    path = source / "policy_preprocessor.json"
    data = json.loads(path.read_text())
    data["steps"][-1]["state_file"] = file
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="state_file"):
        converted(source)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (["norm_map"], r"config of a step is \['norm_map'\]: an object expected"),
        ({"norm_map": "MEAN_STD"}, "norm_map is 'MEAN_STD' and eps 1e-08"),
        ({"eps": "small"}, r"policy_preprocessor\.json: .*eps 'small': an object and a finite"),
        ({"eps": float("nan")}, r"policy_preprocessor\.json: .*eps nan"),
        ({"eps": float("inf")}, r"policy_preprocessor\.json: .*eps inf"),
        ({"eps": -1e-8}, r"policy_preprocessor\.json: .*eps -1e-08"),
    ],
)
def test_refuses_a_malformed_processor(source: Path, config: object, message: str) -> None:
    write_lerobot(source)
    path = source / "policy_preprocessor.json"
    data = json.loads(path.read_text())
    data["steps"][-1]["config"] = config
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=message):
        converted(source)


def test_a_word_that_exempts_an_action_is_not_taken_for_its_letters(source: Path) -> None:
    write_lerobot(source)
    path = source / "policy_preprocessor.json"
    path.write_text(path.read_text().replace('["gripper"]', '"gripper"'))
    with pytest.raises(CheckpointError, match="is 'gripper': a list of names expected"):
        converted(source, ConversionOptions())
