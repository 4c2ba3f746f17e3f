"""Demonstrations collected by the program, with all nodes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from harness import ROOT
from source_prefix import running_programs, write_prefix

from pi0_ros.dataset.recorded_actions import read_actions
from pi0_ros.recording.episode import Outcome
from pi0_ros.recording.read import read_episode


def run(prefix: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program of the source tree."""
    search = [str(ROOT), str(ROOT / "pi0_bringup"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [str(prefix / "lib" / "pi0_bringup" / "collect_demonstrations"), *words],
        env={
            **os.environ,
            "AMENT_PREFIX_PATH": str(prefix),
            "PYTHONPATH": os.pathsep.join(search),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_demonstration_is_recorded_judged_and_can_be_read(tmp_path: Path) -> None:
    prefix, out = write_prefix(tmp_path / "prefix"), tmp_path / "bags"
    words = ("--episodes", "1", "--width", "64", "--real-time-factor", "0", "--json")
    done = run(prefix, "--out", str(out), *words)
    assert done.returncode == 0, done.stderr
    (episode,) = json.loads(done.stdout)
    assert episode["best_reward"] == 4
    info = read_episode(Path(episode["path"]))
    assert info.outcome is Outcome.SUCCEEDED
    assert info.task == "transfer the cube to the other arm"
    assert 8.0 < info.duration_s < 12.0
    assert info.topic("simulation/reward").written > 400
    recorded = read_actions(episode["path"])
    assert recorded.actions.shape[0] > 400
    assert running_programs(prefix) == {}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--episodes", "0"), "episodes is 0; give at least 1"),
        (("--first-seed", "-1"), "first-seed is -1"),
        (("--first-seed", str(2**32)), "first-seed is 4294967296; give 0 to 4294967246"),
        (("--width", "30"), "width is 30"),
        (("--real-time-factor", "-2"), "real-time-factor is -2"),
    ],
)
def test_a_refused_input_is_exit_code_2(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from pi0_bringup.collecting.main import main

    assert main([*words, "--out", str(tmp_path)]) == 2
    assert complaint in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from pi0_bringup.collecting.main import main

    (tmp_path / "taken").touch()
    assert main(["--out", str(tmp_path / "taken")]) == 2
    assert "cannot be written to: File exists" in capsys.readouterr().err
