"""What neither tensors nor statistics show: joint directions, gripper units, the state's way in."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from foreign import dimensions, write_asset, write_legacy, write_lerobot, write_openpi

from pi0_ros.checkpoint import CheckpointError, CheckpointManifest, ConversionOptions, convert
from pi0_ros.checkpoint.manifest import read_manifest
from pi0_ros.embodiment import load as robot
from pi0_ros.policy.pipeline import Pipeline

SAID = ConversionOptions(delta=False)


def converted(
    source: Path, embodiment: str, supplement: ConversionOptions = SAID
) -> CheckpointManifest:
    out = source.parent / "out"
    convert(source, robot(embodiment), out, supplement)
    return read_manifest(out / "manifest.json")


def openpi(tmp_path: Path, asset: str, width: int = 14) -> Path:
    source = write_openpi(tmp_path / "source")
    shutil.rmtree(source / "assets")
    write_asset(source, asset, width)
    return source


def round_trip(tmp_path: Path, manifest: CheckpointManifest) -> None:
    """What the checkpoint learns of an action becomes that action again."""
    pipeline = Pipeline.of(
        manifest, tmp_path / "out" / manifest.tokenizer, robot(manifest.embodiment)
    )
    actions, state = np.linspace(0.1, 0.9, 14)[None], np.full(14, 0.4)
    output = pipeline.targets(actions, state)
    np.testing.assert_allclose(pipeline.actions(output, state), actions, atol=1e-5)
    mean = np.array(manifest.normalisation.actions.mean)
    assert pipeline.actions(np.zeros((1, 32), np.float32), state)[0, 1] == pytest.approx(-mean[1])


@pytest.mark.parametrize("asset", ["trossen", "lab/trossen"])
def test_openpi_s_trossen_statistics_are_of_aloha_s_conventions(tmp_path: Path, asset: str) -> None:
    manifest = converted(openpi(tmp_path, asset), "bimanual_trossen")
    assert manifest.robot_transform == "aloha"
    assert manifest.notes["robot_transform"] == "openpi's statistics trossen are of adapt_to_pi"
    round_trip(tmp_path, manifest)


def test_lerobot_s_old_configuration_says_aloha_in_its_own_scale(tmp_path: Path) -> None:
    source = write_legacy(tmp_path / "source", width=14, adapt_to_pi_aloha=True)
    manifest = converted(source, "bimanual_trossen", ConversionOptions())
    assert manifest.robot_transform == "aloha_lerobot"
    round_trip(tmp_path, manifest)


@pytest.mark.parametrize(("asset", "kind"), [("ur5e_dual", "none"), ("arx", "none")])
def test_other_published_statistics_have_no_conventions(
    tmp_path: Path, asset: str, kind: str
) -> None:
    embodiment = {"ur5e_dual": "bimanual_ur5e", "arx": "bimanual_arx"}[asset]
    assert converted(openpi(tmp_path, asset), embodiment).robot_transform == kind


def test_two_arms_with_statistics_of_somebody_want_to_be_told(tmp_path: Path) -> None:
    source = openpi(tmp_path, "my_lab")
    with pytest.raises(CheckpointError, match=r"statistics my_lab, .*give --robot-transform aloha"):
        converted(source, "bimanual_trossen")
    assert not (tmp_path / "out").exists()
    told = converted(source, "bimanual_trossen", replace(SAID, robot_transform="none"))
    assert (told.robot_transform, told.notes["robot_transform"]) == ("none", "as given")


def test_one_arm_has_no_conventions_but_its_own(tmp_path: Path) -> None:
    source = openpi(tmp_path, "my_lab", 7)
    with pytest.raises(CheckpointError, match=r"aloha \(as given\) is for two arms .* ur5e is not"):
        converted(source, "ur5e", replace(SAID, robot_transform="aloha"))
    assert converted(source, "ur5e").robot_transform == "none"


def test_lerobot_trains_in_the_robot_s_own_conventions(tmp_path: Path) -> None:
    manifest = converted(write_lerobot(tmp_path / "source"), "ur5e", ConversionOptions())
    assert manifest.robot_transform == "none"


@pytest.mark.parametrize("said", ["by the configuration", "by hand"])
def test_pi05_may_be_trained_without_the_state(tmp_path: Path, said: str) -> None:
    source = write_openpi(tmp_path / "source", dimensions(pi05=True))
    supplement = SAID
    if said == "by hand":
        supplement = replace(SAID, state_in_prompt=False)
    else:
        path = source / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"discrete_state_input": False}))
    assert not converted(source, "ur5e", supplement).state_in_prompt
    if said == "by the configuration":
        shutil.rmtree(tmp_path / "out")
        with pytest.raises(CheckpointError, match=r"leave --state-in-prompt out"):
            converted(source, "ur5e", replace(SAID, state_in_prompt=True))


@pytest.mark.parametrize("pi05", [False, True])
def test_the_state_goes_where_the_model_has_it_unless_it_is_said_otherwise(
    tmp_path: Path, pi05: bool
) -> None:
    source = write_openpi(tmp_path / "source", dimensions(pi05=pi05))
    assert converted(source, "ur5e").state_in_prompt == pi05


def test_refuses_the_prompt_s_option_for_pi0(tmp_path: Path) -> None:
    source = write_openpi(tmp_path / "source")
    with pytest.raises(CheckpointError, match=r"--no-state-in-prompt is for π0\.5, this is π0"):
        converted(source, "ur5e", replace(SAID, state_in_prompt=False))
