"""Leader arms in an embodiment file: what they become, and what can be wrong with them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pi0_ros.embodiment import EmbodimentError, load

FILE = load("mobile_trossen").path
LEFT = ("teleop", "leaders", 0, "dimensions")


def written(folder: Path, keys: tuple[Any, ...], value: Any) -> Path:
    """mobile_trossen with one value changed."""
    raw = copy.deepcopy(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    place = raw
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


def test_every_joint_of_both_leaders_drives_a_dimension() -> None:
    teleop = load("mobile_trossen").teleop
    assert teleop is not None
    assert len(teleop.leaders) == 14
    assert {leader.topic for leader in teleop.leaders} == {
        "leader_left/joint_states",
        "leader_right/joint_states",
    }
    handle = next(leader for leader in teleop.leaders if leader.action == "left_gripper")
    assert handle.scale * -0.6842 + handle.offset == pytest.approx(0.0, abs=1e-5)
    assert handle.scale * 0.3083 + handle.offset == pytest.approx(1.0, abs=1e-5)
    assert teleop.start_dimensions == ("left_gripper", "right_gripper")


def test_a_robot_needs_no_leader_arms() -> None:
    assert load("ur5e").teleop is None


@pytest.mark.parametrize(
    ("keys", "value", "place", "words"),
    [
        (
            (*LEFT, "left_wasit"),
            {"joint": "waist"},
            "teleop.leaders[0].dimensions.left_wasit",
            "not an action dimension; did you mean 'left_waist'?",
        ),
        (
            (*LEFT, "right_waist"),
            {"joint": "waist"},
            "teleop.leaders[1].dimensions.right_waist",
            "'right_waist' is already led at",
        ),
        (
            (*LEFT, "base_x"),
            {"joint": "wheel"},
            "teleop.leaders[0].dimensions.base_x",
            "'base_x' is a velocity; a leader arm has none",
        ),
        (
            ("teleop", "start", "dimensions"),
            ["left_grip"],
            "teleop.start.dimensions[0]",
            "'left_grip' is led by no leader arm",
        ),
        (
            (*LEFT, "left_waist"),
            {"joint": "waist", "scale": 0.0},
            "teleop.leaders[0].dimensions.left_waist.scale",
            "cannot be undone by a division",
        ),
        (("teleop", "leaders"), [], "teleop.leaders", "at least one"),
    ],
)
def test_names_what_is_wrong_with_the_leaders(
    tmp_path: Path, keys: tuple[Any, ...], value: Any, place: str, words: str
) -> None:
    with pytest.raises(EmbodimentError) as caught:
        load(written(tmp_path, keys, value))
    assert any(f": {place}" in p and words in p for p in caught.value.problems), caught.value
