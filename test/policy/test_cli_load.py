"""``pi0 checkpoint load``: what it asks for, without a graph."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from pi0_ros.cli.load import add_load_parser


class Replaced(Exception):  # noqa: N818 - what execv does instead of returning
    """This process would be another program now."""


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that the verb becomes."""
    started: list[list[str]] = []

    def execv(_: str, command: list[str]) -> None:
        started.append(command)
        raise Replaced

    monkeypatch.setattr(os, "execv", execv)
    parser = argparse.ArgumentParser()
    add_load_parser(parser.add_subparsers())
    given = parser.parse_args(["load", *words])
    with pytest.raises(Replaced):
        given.func(given)
    return started[0]


def test_becomes_the_program_that_asks_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    command = run(["checkpoints/new"], monkeypatch)
    assert command[:3] == [sys.executable, "-m", "pi0_ros.clients.load_checkpoint"]
    assert command[4:] == ["--node", "policy", "--namespace", "/", "--timeout", "600.0"]


def test_the_folder_is_where_the_user_is_and_not_where_the_policy_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = run(["checkpoints/new"], monkeypatch)
    assert command[3] == str(Path.cwd() / "checkpoints/new")


def test_node_and_namespace_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    command = run(["new", "--node", "brain", "--namespace", "/left"], monkeypatch)
    assert command[4:8] == ["--node", "brain", "--namespace", "/left"]
