"""Sticks, buttons, keys and the deadman, before they move anything."""

from __future__ import annotations

import pytest

from pi0_bringup.teleoperation.engagement import Engagement, Phase
from pi0_bringup.teleoperation.keys import Keys, check_key, key_names
from pi0_bringup.teleoperation.layers import Gamepad, Layer, Layers, default_layers
from pi0_ros.embodiment import available, load

MS = 1_000_000
DIMENSIONS = ("waist", "shoulder", "gripper")


def layers(*pages: Layer) -> Layers:
    def check(target: str) -> None:
        if target.removeprefix("-") not in DIMENSIONS:
            raise ValueError(f"no {target}")

    return Layers(pages, DIMENSIONS, check)


TWO = (
    Layer(
        name="arm",
        axes=("waist", "-shoulder", "selected"),
        buttons=("gripper", "-gripper", "next_joint", "next_layer"),
        keys={"w": "waist", "s": "-waist", "n": "next_joint", "up": "selected"},
    ),
    Layer(name="other", axes=("gripper",), buttons=("", "", "", "next_layer")),
)


def test_sticks_move_their_targets_from_the_edge_of_the_dead_zone_on() -> None:
    pad = Gamepad(layers(*TWO), dead_zone=0.2)
    assert pad.read((0.1, 0.0, 0.0), (0, 0, 0, 0)) == {}
    assert pad.read((0.6, -1.0, 0.0), (0, 0, 0, 0)) == pytest.approx(
        {"waist": 0.5, "-shoulder": -1.0}
    )
    assert pad.read((float("nan"), 0.0, 0.0), (0, 0, 0, 0)) == {}


def test_a_button_acts_once_for_each_press() -> None:
    pad = Gamepad(layers(*TWO), dead_zone=0.1)
    pad.read((), (0, 0, 1, 0))
    pad.read((), (0, 0, 1, 0))
    assert pad.layers.selected == "shoulder"
    pad.read((), (0, 0, 0, 0))
    assert pad.read((0.0, 0.0, 1.0), (1, 0, 1, 0)) == {"gripper": 2.0} | {}
    pad.read((), (0, 0, 0, 1))
    assert pad.layers.layer.name == "other"
    assert pad.read((1.0,), (1, 0, 0, 0)) == {"gripper": 1.0}


def test_a_layer_that_binds_an_unknown_target_is_named() -> None:
    with pytest.raises(ValueError, match="layer 'arm': no elbow"):
        layers(Layer(name="arm", axes=("elbow",)))
    with pytest.raises(ValueError, match="layers is empty"):
        layers()


@pytest.mark.parametrize("name", available())
def test_every_robot_has_layers_without_a_file(name: str) -> None:
    robot = load(name)
    has_base = any(d.state is None for d in robot.action)
    pages = default_layers(robot)
    assert [page.name for page in pages] == ["joints", "base"][: 1 + has_base]
    known = {"selected", "next_layer", "next_joint", "previous_joint", *robot.action_names}
    assert {t.removeprefix("-") for page in pages for t in page.targets()} <= known


def test_a_key_moves_for_a_pulse_and_holds_the_deadman_over_the_pause_before_repetition() -> None:
    keys = Keys(layers(*TWO), pulse_s=0.1, hold_s=1.0)
    assert not keys.held(0)
    keys.press("w", 0)
    assert keys.shares(99 * MS) == {"waist": 1.0}
    assert keys.shares(100 * MS) == {}
    assert keys.held(999 * MS)
    assert not keys.held(1000 * MS)


def test_the_opposite_key_takes_over_and_space_lets_go_at_once() -> None:
    keys = Keys(layers(*TWO), pulse_s=0.1, hold_s=1.0)
    keys.press("w", 0)
    keys.press("s", MS)
    assert keys.shares(2 * MS) == {"-waist": 1.0}
    keys.press("space", 3 * MS)
    assert not keys.held(4 * MS)
    assert keys.shares(4 * MS) == {}


def test_keys_select_and_turn_the_page_without_holding_the_deadman() -> None:
    keys = Keys(layers(*TWO), pulse_s=0.1, hold_s=1.0)
    keys.press("n", 0)
    keys.press("?", 0)
    assert not keys.held(MS)
    keys.press("up", 0)
    assert keys.shares(MS) == {"shoulder": 1.0}
    keys.press("tab", 0)
    assert keys.layers.layer.name == "other"
    assert keys.shares(MS) == {}


def test_names_the_keys_a_terminal_sends() -> None:
    assert key_names("a\x1b[A \x1b[D\x1b\t") == ["a", "up", "space", "left", "escape", "tab"]


@pytest.mark.parametrize("key", ["Up", "arrow_up", "page up", "", " "])
def test_a_key_that_no_terminal_sends_is_refused_with_those_that_are_known(key: str) -> None:
    with pytest.raises(
        ValueError, match="give a single character or one of up, down, right, left, enter"
    ):
        check_key(key)


@pytest.mark.parametrize("key", ["space", "escape", "tab"])
def test_a_key_that_means_the_same_in_every_layer_cannot_be_bound(key: str) -> None:
    with pytest.raises(ValueError, match=f"'{key}' has a fixed meaning"):
        check_key(key)


def test_every_key_that_a_terminal_sends_otherwise_can_be_bound() -> None:
    for key in key_names("aZ?9\x1b[A\x1b[B\x1b[C\x1b[D\r"):
        check_key(key)


def test_a_source_engages_drives_and_releases_with_its_deadman() -> None:
    engagement = Engagement()
    held = (False, True, True, False, False)
    assert [engagement.update(h, None) for h in held] == [
        Phase.IDLE,
        Phase.ENGAGE,
        Phase.DRIVE,
        Phase.RELEASE,
        Phase.IDLE,
    ]


def test_what_ended_a_drive_has_to_be_answered_by_letting_go() -> None:
    engagement = Engagement()
    engagement.update(False, None)
    engagement.update(True, None)
    assert engagement.update(True, "stopped") is Phase.RELEASE
    assert engagement.update(True, None) is Phase.IDLE
    assert engagement.reason == "stopped"
    assert engagement.update(False, None) is Phase.IDLE
    assert engagement.update(True, None) is Phase.ENGAGE


def test_a_deadman_held_before_the_robot_is_ready_starts_nothing_later() -> None:
    engagement = Engagement()
    assert engagement.update(True, "waiting") is Phase.IDLE
    assert engagement.update(True, None) is Phase.IDLE


def test_a_deadman_held_from_the_start_drives_nothing_before_it_was_let_go() -> None:
    engagement = Engagement()
    assert engagement.update(True, None) is Phase.IDLE
    assert "release it" in engagement.reason
    engagement.update(False, None)
    assert engagement.update(True, None) is Phase.ENGAGE
