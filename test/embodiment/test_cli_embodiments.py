"""``pi0 embodiments``: what it prints and how it exits."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pi0_ros.cli.embodiments import add_parser
from pi0_ros.embodiment import EmbodimentError, available

ROOT = Path(__file__).resolve().parents[2]


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="pi0")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["embodiments", *words])
    code: int = arguments.func(arguments)
    return code


def test_list_is_an_aligned_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("list") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == list(available())
    column = head.index("STATE")
    assert all(row[column - 1] == " " and row[column].isdigit() for row in rows)
    words = " ".join(rows[-1].split())
    assert words == "ur5e 7 7 2 20 Hz 16 of 50 forward_position, gripper"


@pytest.mark.parametrize("name", available())
def test_show_states_every_dimension_camera_and_controller(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("show", name) == 0
    page = capsys.readouterr().out
    for heading in ("STATE", "ACTION", "CAMERAS", "CONTROLLERS", "RATES", "SYNC"):
        assert f"\n{heading}" in page


def test_show_says_which_slot_is_absent(capsys: pytest.CaptureFixture[str]) -> None:
    _run("show", "franka")
    page = capsys.readouterr().out
    assert "right_wrist_0_rgb  absent" in page
    assert "fr3_finger_joint1 (x -25 + 1)" in page


def test_show_of_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(EmbodimentError, match="did you mean 'franka'"):
        _run("show", "frnka")


def test_check_passes_a_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(ROOT / "embodiments" / "mobile_fibocom.yaml")
    assert _run("check", path) == 0
    assert (
        capsys.readouterr().out == f"{path}: OK (mobile_fibocom: 14 state, 17 action, 3 cameras)\n"
    )


def test_check_prints_every_error_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "embodiments" / "ur5e.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("horizon: 50", "horizon: 5").replace("stop: hold", "stop: halt"))
    assert _run("check", "ur5e", str(path)) == 1
    out = capsys.readouterr().out
    assert "ur5e: OK" in out
    assert "rates.execution_steps: 16 exceeds the horizon of 5 steps" in out
    assert "controllers.arm.stop: 'halt' is not known here" in out
    assert out.endswith(f"{path}: 2 errors\n")
