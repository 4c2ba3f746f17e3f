"""Verbs that need ROS: what they ask of their client, without a graph."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest

from pi0_ros.cli import robot
from pi0_ros.cli.main import main


def client(monkeypatch: pytest.MonkeyPatch, module: str, function: str) -> Mock:
    """A stand-in for a function of ``pi0_ros.clients``, which is imported when a verb runs."""
    stand_in = Mock(return_value=7)
    fake = ModuleType(f"pi0_ros.clients.{module}")
    setattr(fake, function, stand_in)
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    return stand_in


@pytest.mark.parametrize(
    ("words", "module", "function", "values", "options"),
    [
        (
            ["status", "--json", "--timeout", "2"],
            "status.client",
            "show_status",
            (),
            {"namespace": "/", "once": False, "as_json": True, "timeout_s": 2.0},
        ),
        (
            ["robot", "estop", "--namespace", "cell"],
            "operate",
            "operate",
            ("estop",),
            {"node": "chunk_executor", "namespace": "cell", "timeout_s": 10.0},
        ),
        (
            ["replay", "cups:3", "ur5e", "--speed", "0.5"],
            "replay.client",
            "replay_episode",
            ("cups:3",),
            {"embodiment": "ur5e", "speed": 0.5, "namespace": "/", "use_sim_time": "auto"},
        ),
        (
            ["checkpoint", "load", "/a", "--node", "brain"],
            "load_checkpoint",
            "load_checkpoint",
            ("/a",),
            {"node": "brain", "namespace": "/", "timeout_s": 600.0},
        ),
        (
            ["checkpoint", "load", "new", "--namespace", "/left"],
            "load_checkpoint",
            "load_checkpoint",
            (str(Path.cwd() / "new"),),  # where the user is, not where the policy is
            {"node": "policy", "namespace": "/left", "timeout_s": 600.0},
        ),
    ],
)
def test_a_verb_calls_its_client_and_returns_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    module: str,
    function: str,
    values: tuple[str, ...],
    options: dict[str, Any],
) -> None:
    called = client(monkeypatch, module, function)
    assert main(words) == 7
    called.assert_called_once_with(*values, **options)


def test_record_hands_over_the_recorder_and_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    called = client(monkeypatch, "record.client", "record")
    words = ["record", "ur5e", "--task", "x", "--episodes", "3", "--duration", "2"]
    assert main([*words, "--outcome", "failed", "--namespace", "left"]) == 7
    recorder, request = called.call_args.args
    assert (recorder.executable, recorder.namespace) == ("recorder", "/left")
    assert (request.task, request.episodes, request.duration_s) == ("x", 3, 2.0)
    assert request.outcome == "failed"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "this is no terminal: give --episodes N and --duration S"),
        (["--episodes", "-1"], "episodes is -1 and duration 10; give a whole number"),
        (["--episodes", "1", "--duration", "0"], "episodes is 1 and duration 0; give"),
    ],
)
def test_a_recording_that_cannot_begin_is_refused(
    capfd: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    pytest.importorskip("rclpy")
    assert main(["record", "ur5e", "--task", "x", *words]) == 2
    assert capfd.readouterr().err.startswith(f"pi0: {complaint}")


@pytest.mark.parametrize(
    "module", ["checkpoint_load", "record", "replay", "robot", "ros_names", "status", "checkpoint"]
)
def test_ros_is_imported_only_when_a_verb_runs(module: str) -> None:
    program = f"import sys, pi0_ros.cli.{module}; sys.exit('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


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
