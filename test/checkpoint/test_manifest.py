from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkpoints import manifest, statistics
from hypothesis import given, settings
from hypothesis import strategies as st

from pi0_ros.checkpoint import CheckpointError, CheckpointManifest
from pi0_ros.checkpoint.manifest import read_manifest, to_json


def test_survives_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(to_json(manifest()))
    assert read_manifest(path) == manifest()


@settings(max_examples=25)
@given(
    mean=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    std=st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3),
)
def test_statistics_survive_the_disk_to_the_last_bit(
    mean: list[float], std: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    values = replace(statistics(), mean=tuple(mean), std=tuple(std))
    written = replace(manifest(), normalisation=replace(manifest().normalisation, state=values))
    path = tmp_path_factory.mktemp("manifest") / "manifest.json"
    path.write_text(to_json(written))
    assert read_manifest(path).normalisation.state == values


def test_the_way_back_has_the_same_eps_unless_given(tmp_path: Path) -> None:
    assert manifest().normalisation.inverse_eps == manifest().normalisation.eps
    forward_only = replace(manifest().normalisation, inverse_eps=0.0)
    path = tmp_path / "manifest.json"
    path.write_text(to_json(replace(manifest(), normalisation=forward_only)))
    assert read_manifest(path).normalisation.inverse_eps == 0.0


def test_the_horizon_is_the_model_s() -> None:
    assert manifest().horizon == 50


def refuse(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Sets dotted keys in a good manifest (None removes) and expects ``message``."""
    data = json.loads(to_json(manifest()))
    for dotted, value in change.items():
        *path, last = dotted.split(".")
        section = data
        for key in path:
            section = section[key]
        if value is None:
            del section[last]
        else:
            section[last] = value
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=message) as caught:
        read_manifest(file)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_duration_s": None}, "step_duration_s: Field required"),
        ({"step_duration_s": "fast"}, r"step_duration_s: .*got 'fast'"),
        ({"step_duration_s": 0}, r"step_duration_s is 0\.0: it must be above zero"),
        ({"speed": 3}, "speed: Unexpected keyword argument"),
        ({"model.wings": 2}, r"model\.wings: Unexpected keyword argument"),
        ({"model.expert.depth": 2}, "backbone.depth is 1 and expert.depth is 2"),
        ({"model": {"expert": 3}}, r"model\.vision: Field required"),
        ({"tokenizer_kind": "wordpiece"}, "tokenizer_kind is 'wordpiece': π0 reads sentencepiece"),
        ({"tokenizer_kind": "bpe"}, r"tokenizer_kind: .*got 'bpe'"),
        ({"format_version": 9}, "format_version is 9: this release reads 1"),
        ({"name": "../../etc"}, "name is '../../etc': use a plain file name"),
        ({"tokenizer": "/etc/passwd"}, "tokenizer is '/etc/passwd': use a plain file name"),
        ({"cameras": ["top"]}, "camera slot 'top' is unknown: use base_0_rgb"),
        ({"cameras": []}, r"cameras is \[\]: list at least one"),
        ({"action_names": ["a", "a", "b"]}, r"action_names is \['a', 'a', 'b'\].* each once"),
        ({"delta_mask": [True]}, "delta_mask has 1 entries for 3 action_names"),
        ({"normalisation.inverse_eps": -1}, "inverse_eps is -1: it must not be negative"),
        ({"normalisation.kind": "minmax"}, r"normalisation\.kind: .*got 'minmax'"),
        ({"normalisation.state.mean": [0.0, 1.0]}, "state.mean has 2 values and state has 3 names"),
        ({"normalisation.actions.std": [1, 0, 1]}, "actions.std of elbow is 0: it must be above"),
        ({"normalisation.actions.std": [1, -1, 1]}, "actions.std of elbow is -1"),
        (
            {"normalisation.kind": "quantile", "normalisation.state.q01": None},
            "kind is quantile and state lacks q01 or q99",
        ),
        (
            {"normalisation.kind": "quantile", "normalisation.state.q99": [9, -1, 9]},
            "state.q99 - q01 of elbow is 0",
        ),
    ],
)
def test_refuses(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    refuse(tmp_path, change, message)


def test_refuses_statistics_that_are_not_finite(tmp_path: Path) -> None:
    refuse(
        tmp_path, {"normalisation.state.mean": [float("nan"), 0, 0]}, r"state\.mean\.0: .*finite"
    )


def test_refuses_more_names_than_the_model_is_wide(tmp_path: Path) -> None:
    refuse(tmp_path, {"model.action_dim": 2}, "state_names has 3 names and the model is 2 wide")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null"])
def test_refuses_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        read_manifest(path)


def test_the_same_checks_hold_without_a_file() -> None:
    with pytest.raises(ValueError, match="delta_mask has 0 entries"):
        replace(manifest(), delta_mask=())
    assert isinstance(manifest(), CheckpointManifest)


def test_a_manifest_that_does_not_say_it_has_the_state_where_the_model_has_it(
    tmp_path: Path,
) -> None:
    five = replace(manifest(), model=replace(manifest().model, pi05=True), state_in_prompt=None)
    assert five.state_in_prompt
    assert not manifest().state_in_prompt
    data = json.loads(to_json(replace(five, state_in_prompt=False)))
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(data))
    assert not read_manifest(path).state_in_prompt
    del data["state_in_prompt"]
    path.write_text(json.dumps(data))
    assert read_manifest(path).state_in_prompt


def test_refuses_a_prompt_with_the_state_for_a_network_that_has_an_input_for_it(
    tmp_path: Path,
) -> None:
    refuse(tmp_path, {"state_in_prompt": True}, r"only π0\.5 reads the state from its prompt")
