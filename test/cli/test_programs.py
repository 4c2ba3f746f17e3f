"""Verbs that need ROS: which program they become, without a graph."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pi0_ros.cli import robot
from pi0_ros.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


class Replaced(Exception):  # noqa: N818 - what execv does instead of returning
    """This process would be another program now."""


@pytest.mark.parametrize(
    ("words", "module", "first"),
    [
        (["status", "--json"], "pi0_ros.clients.status.client", ["--namespace", "/"]),
        (["robot", "estop", "--namespace", "cell"], "pi0_ros.clients.operate", ["estop"]),
        (["replay", "cups:3", "ur5e"], "pi0_ros.clients.replay.client", ["cups:3", "ur5e"]),
        (["record", "ur5e", "--task", "x"], "pi0_ros.clients.record.client", ["--embodiment=ur5e"]),
        (["checkpoint", "load", "/a"], "pi0_ros.clients.load_checkpoint", ["/a", "--node"]),
    ],
)
def test_a_verb_that_needs_ros_becomes_its_program(
    monkeypatch: pytest.MonkeyPatch, words: list[str], module: str, first: list[str]
) -> None:
    started: list[list[str]] = []

    def execv(_: str, command: list[str]) -> None:
        started.append(command)
        raise Replaced

    monkeypatch.setattr(os, "execv", execv)
    with pytest.raises(Replaced):
        main(words)
    (command,) = started
    assert command[: 3 + len(first)] == [sys.executable, "-m", module, *first]


def test_the_program_is_the_process_that_was_started(tmp_path: Path) -> None:
    # So a signal reaches it, and nothing stays behind.
    (tmp_path / "named.py").write_text("import os\nprint(os.getpid())\n")
    words = "from pi0_ros.cli.program import become; become('named', [])"
    child = subprocess.Popen(
        [sys.executable, "-c", words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))},
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = child.communicate(timeout=60)
    assert int(out) == child.pid


@pytest.mark.parametrize("verb", [["status"], ["robot", "stop"], ["checkpoint", "load", "/a"]])
def test_a_name_that_ros_does_not_take_is_refused(
    capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*verb, "--namespace", "left arm"])
    assert end.value.code == 2
    assert "'left arm' is no ROS name" in capsys.readouterr().err


def test_its_verbs_are_the_services_of_the_executor() -> None:
    pytest.importorskip("rclpy")
    from pi0_ros.nodes.chunk_executor.operator_services import VERBS

    assert set(robot._VERBS) == set(VERBS)
