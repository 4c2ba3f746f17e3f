"""What the tests of datasets share: the harness of the ROS graph's tests, and a small dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bags ``a``, ``b``, ``c`` of different lengths and tasks, and their dataset ``set``."""
    from synthetic import SyntheticEpisode, write_bag

    from pi0_ros.dataset.convert.convert_bags import convert_bags
    from pi0_ros.dataset.convert.options import ConvertOptions

    folder = tmp_path_factory.mktemp("made")
    takes = {
        "a": SyntheticEpisode(duration_s=0.5, task="stack the cups", then="put them away"),
        "b": SyntheticEpisode(duration_s=0.75, seed=3, task="wipe the table"),
        "c": SyntheticEpisode(duration_s=0.4, seed=5, task="stack the cups"),
    }
    bags = [write_bag(folder, name, take) for name, take in takes.items()]
    convert_bags(bags, folder / "set", ConvertOptions(size=64), jobs=1)
    return folder


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    """A copy of that dataset that a test may change."""
    return Path(shutil.copytree(made / "set", tmp_path / "set"))
