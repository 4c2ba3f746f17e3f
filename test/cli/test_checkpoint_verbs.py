"""``pi0 checkpoint``: what it prints and how it exits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from pi0_ros.checkpoint import load
from pi0_ros.checkpoint.tokenizer import train_tokenizer
from pi0_ros.cli.main import main

FIXTURE = Path(__file__).parents[1] / "fixtures" / "openpi_pi0_tiny"
STATS = '{"mean": [0,0,0,0,0,0,0], "std": [1,1,1,1,1,1,1]}'


@pytest.fixture(autouse=True)
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def extras(tmp_path: Path) -> list[str]:
    """Options that supply what the fixture lacks."""
    (tmp_path / "stats.json").write_text(f'{{"state": {STATS}, "actions": {STATS}}}')
    (tmp_path / "tokenizer.model").write_bytes(train_tokenizer(512))
    files = ["--stats", str(tmp_path / "stats.json"), "--tokenizer", str(tmp_path)]
    return [*files, "--delta", "--out", str(tmp_path / "out")]


def test_inspect_shows_the_contents_what_is_missing_and_the_next_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["checkpoint", "inspect", str(FIXTURE)]) == 0
    shown = capsys.readouterr().out
    for words in (
        *("openpi PyTorch", "π0, 32 wide, vision 48x2, backbone 64x3, expert 32x3", "50 steps"),
        *("float32", "stored as the output head", "Gemma 8 of 16 with 1"),
        *("no assets/<asset id>/norm_stats.json", "--stats", "--no-delta", "--tokenizer PATH"),
        f"pi0 checkpoint convert {FIXTURE} --embodiment NAME --out DIR",
    ):
        assert words in shown


def test_convert_makes_a_checkpoint_that_inspect_finds_no_fault_with(
    tmp_path: Path, extras: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoint", "convert", str(FIXTURE), "--embodiment", "ur5e", *extras]) == 0
    assert "shoulder_pan, shoulder_lift, elbow, wrist_1, wrist_2, wrist_3" in (
        capsys.readouterr().out
    )
    assert load(tmp_path / "out").manifest.embodiment == "ur5e"
    assert main(["checkpoint", "inspect", str(tmp_path / "out")]) == 0
    assert "problems        none" in capsys.readouterr().out
    io = str(FIXTURE / "io.safetensors")
    assert main(["checkpoint", "verify", str(tmp_path / "out"), "--reference", io]) == 0


def test_convert_prints_one_line_for_everything_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["checkpoint", "convert", str(FIXTURE), "--embodiment", "ur5e"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert not (tmp_path / "out").exists()


def test_convert_refuses_statistics_of_another_robot(
    extras: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoint", "convert", str(FIXTURE), "--embodiment", "franka", *extras]) == 2
    assert "these statistics belong to another robot" in capsys.readouterr().err


def test_verify_exits_by_the_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["checkpoint", "verify", str(FIXTURE), "--reference", str(FIXTURE / "io.safetensors")]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "6 of 6 outputs agree" in shown
    assert "actions.10_steps" in shown
    loss = next(line.split() for line in shown.splitlines() if line.startswith("loss_per_dim"))
    assert float(loss[3]) <= min(float(loss[2]), 1e-4)
    # The size of the error depends on the machine. The note appears where the two columns differ.
    assert loss[2] == loss[3] or "of the loss, a square, over 2 √loss" in shown
    assert main([*words, "--tolerance", "1e-9"]) == 1
    assert "NO" in capsys.readouterr().out


def test_verify_notices_other_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = load_file(FIXTURE / "model.safetensors")
    tensors["state_proj.bias"] += 0.1
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((FIXTURE / "config.json").read_bytes())
    io = str(FIXTURE / "io.safetensors")
    assert main(["checkpoint", "verify", str(tmp_path), "--reference", io]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("suffix")).count("NO") == 1


@pytest.mark.parametrize("verb", ["inspect", "convert", "verify"])
def test_pickles_are_refused_by_name(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    more = {
        "convert": ["--embodiment", "ur5e", "--out", str(tmp_path / "out")],
        "verify": ["--reference", str(FIXTURE / "io.safetensors")],
    }
    assert main(["checkpoint", verb, str(tmp_path), *more.get(verb, [])]) == 2
    assert "pytorch_model.bin: pickled weights are refused" in capsys.readouterr().err


def test_a_jax_folder_names_the_package_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "_METADATA").write_text("{}")
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    assert main(["checkpoint", "inspect", str(tmp_path)]) == 2
    assert "pip install tensorstore" in capsys.readouterr().err
