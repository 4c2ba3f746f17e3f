"""What makes a step run again, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.stamps import Stamps, digest_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "one.py").write_text("x = 1\n")
    return tmp_path


def key(tree: Path) -> str:
    return digest_files(tree, [tree / "room", tree / "setup.py"])


def test_nothing_changed_is_the_same_key(tree: Path) -> None:
    assert key(tree) == key(tree)


def test_a_touched_file_is_the_same_key(tree: Path) -> None:
    before = key(tree)
    (tree / "room" / "one.py").write_text("x = 1\n")
    assert key(tree) == before


def test_compiled_python_is_the_same_key(tree: Path) -> None:
    before = key(tree)
    (tree / "room" / "__pycache__").mkdir()
    (tree / "room" / "__pycache__" / "one.pyc").write_bytes(b"1")
    (tree / "room" / "room.egg-info").mkdir()
    (tree / "room" / "room.egg-info" / "PKG-INFO").touch()
    assert key(tree) == before


def test_content_name_addition_and_removal_each_change_the_key(tree: Path) -> None:
    one = tree / "room" / "one.py"
    keys = [key(tree)]
    one.write_text("x = 2\n")
    keys.append(key(tree))
    one.rename(tree / "room" / "two.py")
    keys.append(key(tree))
    (tree / "room" / "empty.py").touch()
    keys.append(key(tree))
    (tree / "setup.py").touch()
    keys.append(key(tree))
    assert len(set(keys)) == len(keys)


def test_a_step_holds_for_its_key_only(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "stamps.json")
    assert not stamps.holds("build", "a")
    stamps.set("build", "a")
    assert Stamps(tmp_path / "stamps.json").holds("build", "a")
    assert not stamps.holds("build", "b")


def test_an_interrupted_step_is_undone(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "stamps.json")
    stamps.set("build", "a")
    stamps.set("other", "a")
    stamps.drop("build")
    assert not stamps.holds("build", "a")
    assert stamps.holds("other", "a")


def test_a_damaged_file_means_nothing_is_done(tmp_path: Path) -> None:
    (tmp_path / "stamps.json").write_text("{")
    assert not Stamps(tmp_path / "stamps.json").holds("build", "a")
