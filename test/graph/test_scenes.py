"""Scenes are found by the entry points of installed packages, and by nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from source_metadata import write_metadata

from pi0_ros.graph.options import GraphError
from pi0_ros.graph.scenes import GROUP, find_scene


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Hides every installed package, then installs one that declares the given scenes."""

    def write(*scenes: str) -> None:
        write_metadata(tmp_path, "other", {GROUP: [f"{scene} = other:Scene" for scene in scenes]})
        monkeypatch.setattr(sys, "path", [str(tmp_path)])

    return write


def test_the_only_scene_of_an_embodiment_needs_no_name(install: Callable[..., None]) -> None:
    install("ur5e.stack", "arx5.sort")
    name, entry_point = find_scene("ur5e")
    assert (name, entry_point.value) == ("stack", "other:Scene")
    assert find_scene("ur5e", "stack")[0] == "stack"


def test_one_of_several_scenes_has_to_be_named(install: Callable[..., None]) -> None:
    install("ur5e.stack", "ur5e.pour")
    with pytest.raises(GraphError, match="ur5e has several scenes; give scene pour or stack"):
        find_scene("ur5e")
    assert find_scene("ur5e", "pour")[0] == "pour"


def test_the_message_names_what_is_installed(install: Callable[..., None]) -> None:
    install("ur5e.stack", "ur5e.pour", "arx5.sort")
    with pytest.raises(GraphError, match=r"installed are scenes of arx5 \(sort\), ur5e \(pour, st"):
        find_scene("mobile_fibocom")


def test_says_that_no_package_declares_a_scene(install: Callable[..., None]) -> None:
    install()
    with pytest.raises(GraphError, match=r"no simulated scene is installed.*install pi0_bringup"):
        find_scene("bimanual_trossen")
