"""``pi0 robot``: what it asks for, without a graph."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pi0_ros.cli import robot
from pi0_ros.cli.main import main


def test_asks_the_executor_in_a_process_of_its_own_and_returns_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []

    def start(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        started.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", start)
    assert main(["robot", "estop", "--namespace", "cell"]) == 1
    assert started == [
        [
            *(sys.executable, "-m", "pi0_ros.nodes.operate", "estop"),
            *("--node", "chunk_executor", "--namespace", "cell"),
        ]
    ]


def test_its_verbs_are_the_services_of_the_executor() -> None:
    pytest.importorskip("rclpy")
    from pi0_ros.nodes.operator_services import VERBS

    assert set(robot._VERBS) == set(VERBS)
