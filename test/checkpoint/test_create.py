from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from pi0_ros.checkpoint import CheckpointError, check_compatibility, create_untrained, load
from pi0_ros.checkpoint.tokenizer import train_tokenizer
from pi0_ros.cli.main import main
from pi0_ros.embodiment import available
from pi0_ros.embodiment import load as load_embodiment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mobile")
    create_untrained(path, load_embodiment("mobile_trossen"))
    return path


@pytest.mark.parametrize("name", available())
def test_makes_a_checkpoint_for_every_robot(name: str, tmp_path: Path) -> None:
    robot = load_embodiment(name)
    create_untrained(tmp_path, robot)
    loaded = load(tmp_path)
    assert loaded.manifest.trained is False
    assert loaded.checkpoint_id.startswith(f"{name}-tiny-untrained@")
    assert check_compatibility(loaded.manifest, robot) == ()


def test_statistics_are_centred_on_the_home_pose(folder: Path) -> None:
    robot = load_embodiment("mobile_trossen")
    norm = load(folder).manifest.normalisation
    assert norm.actions.mean == pytest.approx(robot.home)
    home = {d.state: d.home for d in robot.action}
    assert norm.state.mean == pytest.approx([home[name] for name in robot.state_names])
    span = robot.limits.upper - robot.limits.lower
    assert np.array(norm.actions.std) == pytest.approx(0.01 * span)
    bases = [i for i, d in enumerate(robot.action) if d.state is None]
    assert len(bases) == 2
    assert all(norm.actions.mean[i] == 0 for i in bases)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    robot = load_embodiment("ur5e")
    ids = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        create_untrained(tmp_path / name, robot, seed=seed)
        ids.append(load(tmp_path / name).checkpoint_id)
    assert ids[0] == ids[1] != ids[2]


def test_replaces_an_untrained_checkpoint_and_never_a_trained_one(tmp_path: Path) -> None:
    robot = load_embodiment("ur5e")
    create_untrained(tmp_path, robot)
    create_untrained(tmp_path, robot, seed=1)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trained": True}))
    before = load(tmp_path).checkpoint_id
    with pytest.raises(CheckpointError, match="holds a trained checkpoint"):
        create_untrained(tmp_path, robot)
    assert load(tmp_path).checkpoint_id == before


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.model", "thesis.tex"])
def test_leaves_a_folder_of_anyone_else_s_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"irreplaceable")
    with pytest.raises(CheckpointError, match=rf"not empty \(1\): {name}; choose an empty"):
        create_untrained(tmp_path, load_embodiment("ur5e"))
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"irreplaceable"]


def test_refuses_an_unknown_variant(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model variant 'huge'"):
        create_untrained(tmp_path, load_embodiment("ur5e"), config="huge")
    assert not list(tmp_path.iterdir())


def test_the_tokenizer_fits_the_token_table_and_has_the_usual_ids(folder: Path) -> None:
    loaded = load(folder)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(loaded.tokenizer_path))
    assert pieces.vocab_size() <= loaded.manifest.model.vocab
    assert (pieces.pad_id(), pieces.eos_id(), pieces.bos_id()) == (0, 1, 2)
    assert len(pieces.encode("\n")) == 1


@settings(max_examples=50)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_any_text_can_be_encoded_and_read_back(text: str) -> None:
    pieces = _pieces()
    ids = pieces.encode(text)
    assert pieces.unk_id() not in ids
    assert pieces.decode(ids) == text


@functools.cache
def _pieces() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=train_tokenizer(512))


def test_the_command_creates_and_inspects(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["checkpoint", "create", "franka", "--out", str(tmp_path / "c")]) == 0
    assert main(["checkpoint", "inspect", str(tmp_path / "c")]) == 0
    shown = capsys.readouterr().out
    assert "franka-tiny-untrained@" in shown
    assert "no, random weights" in shown
    assert "844,128 (float32" in shown
    assert "problems        none" in shown


def test_the_command_says_what_keeps_a_checkpoint_from_its_robot(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    path = folder / "manifest.json"
    kept = path.read_text()
    path.write_text(kept.replace('"embodiment": "mobile_trossen"', '"embodiment": "ur5e"'))
    assert main(["checkpoint", "inspect", str(folder)]) == 1
    assert "14 state dimensions and ur5e 7" in capsys.readouterr().out
    path.write_text(kept)


def test_the_command_refuses_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["checkpoint", "inspect", str(tmp_path)]) == 2
    assert "no model.safetensors in it" in capsys.readouterr().err
