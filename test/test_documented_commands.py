"""Every `pi0` command line in a listing of README and docs is one that the command takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pi0_ros.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_COMMAND = re.compile(r"^(?: {4})?(?:\$ )?pi0 (.+)", re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The words after ``pi0``, of commands that are written out."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = [shlex.split(line, comments=True) for line in _COMMAND.findall(text)]
    return [words for words in found if not any("..." in word for word in words)]


def test_the_command_takes_every_documented_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = []
    count = 0
    for page in PAGES:
        for words in commands(page):
            count += 1
            try:
                build_parser(words[0]).parse_args(words)
            except SystemExit:
                refused.append(f"{page.name}: pi0 {' '.join(words)}: {capsys.readouterr().err}")
    assert refused == []
    assert count > 50
