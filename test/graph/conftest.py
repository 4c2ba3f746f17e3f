"""The ``prefix`` fixture: an empty installation prefix for stand-in programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins import Prefix


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path / "prefix")
