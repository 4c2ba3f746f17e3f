"""Short demos of every robot, and demos whose loop breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT
from PIL import Image
from source_prefix import running_programs, write_prefix

from pi0_bringup.demo.main import main
from pi0_ros.embodiment import available, load
from pi0_ros.graph.scenes import installed_scenes

DURATION_S = 3
RUNS = [(name, "mock") for name in available()] + [(name, "mujoco") for name in installed_scenes()]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained checkpoint of every embodiment."""
    from pi0_ros.checkpoint import create_untrained

    folder = tmp_path_factory.mktemp("checkpoints")
    for name in available():
        create_untrained(folder / name, load(name))
    return folder


class Demo:
    """Starts the program ``demo`` on the source tree; its nodes are those of ``prefix``."""

    def __init__(self, folder: Path, checkpoints: Path) -> None:
        self.prefix = write_prefix(folder / "prefix")
        self.out = folder / "out"
        self._checkpoints = checkpoints

    def start(self, embodiment: str, *words: str) -> subprocess.Popen[str]:
        search = [str(ROOT), str(ROOT / "pi0_bringup"), os.environ.get("PYTHONPATH", "")]
        checkpoint = self._checkpoints / embodiment
        return subprocess.Popen(
            [
                *(str(self.prefix / "lib" / "pi0_bringup" / "demo"), "--json"),
                *("--embodiment", embodiment, "--checkpoint", str(checkpoint)),
                *("--duration", str(DURATION_S), "--out", str(self.out), *words),
            ],
            env={
                **os.environ,
                "AMENT_PREFIX_PATH": str(self.prefix),
                "PYTHONPATH": os.pathsep.join(search),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def break_node(self, name: str, source: str) -> None:
        (self.prefix / "lib" / "pi0_ros" / name).write_text(f"#!{sys.executable}\n{source}\n")


@pytest.fixture
def demo(tmp_path: Path, checkpoints: Path) -> Demo:
    return Demo(tmp_path, checkpoints)


@pytest.mark.parametrize(("embodiment", "hardware"), RUNS)
def test_the_loop_closes(demo: Demo, embodiment: str, hardware: str) -> None:
    process = demo.start(embodiment, "--hardware", hardware)
    out, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    summary: dict[str, Any] = json.loads(out)
    assert summary == json.loads((demo.out / "summary.json").read_text())
    assert summary["hardware"] == hardware
    assert summary["problems"] == []
    assert summary["chunks_executed"] >= 1
    assert summary["robot_s"] >= DURATION_S
    for picture in ("cameras.png", "joints.png"):
        with Image.open(demo.out / picture) as image:
            assert min(image.size) > 300
    assert running_programs(demo.prefix) == {}


def test_a_node_that_dies_is_named_and_nothing_stays_behind(demo: Demo) -> None:
    demo.break_node("policy", "raise SystemExit('no such policy')")
    _, error = demo.start("ur5e").communicate(timeout=120)
    assert "demo: policy died: exit code 1" in error
    assert "[policy] no such policy" in error
    assert running_programs(demo.prefix) == {}


def test_an_interrupt_stops_every_process(demo: Demo) -> None:
    demo.break_node("policy", "import signal\nsignal.pause()")  # ends of any signal
    process = demo.start("ur5e", "--duration", "600")
    assert process.stderr is not None
    while "starting" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "demo: interrupted; every process has been stopped" in error
    assert running_programs(demo.prefix) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--embodiment", "ur5"], "unknown embodiment 'ur5'; did you mean 'ur5e'?"),
        (["--hardware", "mujoco"], "no MuJoCo simulation of embodiment 'ur5e'"),
        (["--duration", "0"], "duration is 0; give seconds above zero"),
        (["--out", "taken"], "taken cannot be written to: File exists"),
    ],
)
def test_a_refused_input_is_exit_code_2(
    words: list[str],
    message: str,
    checkpoints: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for variable in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(variable, "")  # restored afterwards: the demo sets its own
    monkeypatch.chdir(tmp_path)
    Path("taken").touch()
    given = ["--embodiment", "ur5e", "--checkpoint", str(checkpoints / "ur5e"), "--out", "out"]
    assert main([*given, *words]) == 2
    assert capsys.readouterr().err.startswith(f"demo: {message}")
