"""What is no embodiment at all: other files, no files, unknown names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi0_ros.embodiment import EmbodimentError, load


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no mapping of keys"),
        ("[1, 2]", "holds no mapping of keys"),
        ("a: [", "not YAML"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("? [a, b]\n: 3", "not YAML"),
        ("&a [*a]", "not YAML"),
        ("a: 2020-13-45", "not YAML"),
        ("1: 2", "key 1 is not text"),
    ],
)
def test_survives_what_is_no_embodiment_at_all(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EmbodimentError, match=words):
        load(path)


def test_refuses_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EmbodimentError, match="not UTF-8"):
        load(path)


def test_names_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(EmbodimentError, match=r"nowhere\.yaml: cannot be read"):
        load(str(tmp_path / "nowhere.yaml"))


def test_unknown_name_lists_the_known_ones_and_suggests_the_nearest() -> None:
    with pytest.raises(EmbodimentError) as caught:
        load("bimanual_trosen")
    message = str(caught.value)
    assert "did you mean 'bimanual_trossen'?" in message
    assert "mobile_fibocom" in message
    assert "ur5e" in message


def test_unknown_name_with_nothing_near_suggests_nothing() -> None:
    with pytest.raises(EmbodimentError, match=r"unknown embodiment 'xyz'\. Known: bimanual_agilex"):
        load("xyz")


def test_refuses_duplicate_keys_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    text = "name: toy\ndescription: first\n" * 2
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EmbodimentError) as caught:
        load(path)
    repeats = [p for p in caught.value.problems if "stated twice" in p]
    assert [p.split(": ")[1] for p in repeats] == ["name", "description"]
