"""Untrained checkpoints, made once per run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi0_ros.checkpoint import create_untrained
from pi0_ros.embodiment import load


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained checkpoint of the ur5e."""
    directory = tmp_path_factory.mktemp("policy") / "ur5e"
    create_untrained(directory, load("ur5e"))
    return directory


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained checkpoint of π0-small for the ur5e."""
    directory = tmp_path_factory.mktemp("policy") / "ur5e_small"
    create_untrained(directory, load("ur5e"), config="small_tiny")
    return directory
