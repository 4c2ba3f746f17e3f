"""``pi0 checkpoint load``: what it asks for, without a graph."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pi0_ros.cli.load import add_load_parser


def run(words: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Exit code of the verb, and the command that it started, which ends with ``code``."""
    started: list[list[str]] = []

    def start(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        started.append(command)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(subprocess, "run", start)
    parser = argparse.ArgumentParser()
    add_load_parser(parser.add_subparsers())
    given = parser.parse_args(["load", *words])
    return given.func(given), started[0]


def test_asks_the_policy_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    code, command = run(["checkpoints/new"], 0, monkeypatch)
    assert code == 0
    assert command[:3] == [sys.executable, "-m", "pi0_ros.nodes.load_checkpoint"]
    assert command[4:] == ["--node", "policy", "--namespace", "/", "--timeout", "600.0"]


def test_the_folder_is_where_the_user_is_and_not_where_the_policy_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, command = run(["checkpoints/new"], 0, monkeypatch)
    assert command[3] == str(Path.cwd() / "checkpoints/new")


def test_a_refusal_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    code, command = run(["new", "--node", "brain", "--namespace", "/left"], 1, monkeypatch)
    assert code == 1
    assert command[4:8] == ["--node", "brain", "--namespace", "/left"]
