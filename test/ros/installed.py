"""A package of somebody else's, installed for the duration of a test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin import install as install_package

from pi0_ros.camera_encodings import CAMERA_ENCODINGS
from pi0_ros.controllers import CONTROLLER_KINDS
from pi0_ros.extensions import ExtensionTable
from pi0_ros.state_sources import STATE_SOURCES

TABLES: tuple[ExtensionTable[Any], ...] = (
    CAMERA_ENCODINGS,
    CONTROLLER_KINDS,
    STATE_SOURCES,
)

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Make ``name = module:attribute`` an entry point of a group, as pip would."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "lab_driver")
    count = itertools.count()
    before = [dict(table._entries) for table in TABLES]

    def add(group: str, entry_point: str) -> None:
        number = next(count)
        install_package(monkeypatch, tmp_path / f"package_{number}", {}, {group: entry_point})
        for table in TABLES:
            table.refresh()

    yield add
    monkeypatch.undo()
    for table, entries in zip(TABLES, before, strict=True):
        table._entries = entries
        table.refresh()
