"""``pi0 status``: what it starts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import pytest

from pi0_ros.cli.main import main


class _Child:
    """Stands in for the listening process: interrupted once, then ended with code 1."""

    commands: ClassVar[list[list[str]]] = []
    waits = 0

    def __init__(self, command: list[str], **_: Any) -> None:
        self.commands.append(command)

    def wait(self) -> int:
        type(self).waits += 1
        if self.waits == 1:
            raise KeyboardInterrupt
        return 1


def test_listens_in_a_process_of_its_own_and_waits_for_it_past_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subprocess, "Popen", _Child)
    assert main(["status", "--namespace", "cell", "--json"]) == 1
    assert _Child.commands == [
        [
            *(sys.executable, "-m", "pi0_ros.nodes.status.client"),
            *("--namespace", "cell", "--timeout", "5.0", "--json"),
        ]
    ]
    assert _Child.waits == 2
