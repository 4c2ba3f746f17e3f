"""Observations as openpi clients send them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pi0_ros.embodiment import load
from pi0_ros.policy.backends.local import example_observation
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.remote.layouts import WireFormat
from pi0_ros.policy.remote.protocol import ProtocolError, pack, unpack
from pi0_ros.policy.types import Observation

TROSSEN, UR5E, FRANKA = load("bimanual_trossen"), load("ur5e"), load("franka")


def aloha(**changes: Any) -> dict[str, Any]:
    """What openpi's ALOHA runtime sends: channels first."""
    names = ("cam_high", "cam_left_wrist", "cam_right_wrist")
    images = {name: np.full((3, 8, 8), i, dtype=np.uint8) for i, name in enumerate(names)}
    return {"state": np.arange(14.0), "images": images, "prompt": "fold"} | changes


def ur5(**changes: Any) -> dict[str, Any]:
    view = np.zeros((8, 8, 3), dtype=np.uint8)
    message = {"joints": np.arange(6.0), "gripper": np.array([0.5])}
    return message | {"base_rgb": view, "wrist_rgb": view + 1, "prompt": "pour"} | changes


def test_reads_an_aloha_observation_with_channels_first_or_last() -> None:
    message = aloha()
    message["images"]["cam_high"] = np.zeros((8, 8, 3), dtype=np.uint8)
    observation = WireFormat(TROSSEN).decode(message, 8, "")
    assert observation.images.shape == (3, 8, 8, 3)
    assert observation.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert observation.state.tolist() == list(range(14))
    assert observation.slot_mask == (True, True, True)
    assert observation.prompt == "fold"


def test_cam_low_is_accepted_and_not_used() -> None:
    message = aloha()
    message["images"]["cam_low"] = np.zeros((3, 8, 8), dtype=np.uint8)
    assert len(WireFormat(TROSSEN).decode(message, 8, "").images) == 3


def test_reads_an_ur5_observation() -> None:
    observation = WireFormat(UR5E).decode(ur5(), 8, "")
    assert observation.state.tolist() == [0, 1, 2, 3, 4, 5, 0.5]
    assert observation.images[:, 0, 0, 0].tolist() == [0, 1]
    assert observation.slot_mask == (True, True, False)


@pytest.mark.parametrize("gripper", [0.25, np.array(0.25), np.array([0.25]), [0.25]])
def test_reads_a_droid_observation_whatever_form_its_gripper_has(gripper: Any) -> None:
    message = {
        "observation/exterior_image_1_left": np.zeros((8, 8, 3), dtype=np.uint8),
        "observation/wrist_image_left": np.ones((8, 8, 3), dtype=np.uint8),
        "observation/joint_position": np.arange(7.0),
        "observation/gripper_position": gripper,
        "prompt": "stack",
    }
    observation = WireFormat(FRANKA).decode(message, 8, "")
    assert observation.state.tolist() == [0, 1, 2, 3, 4, 5, 6, 0.25]


def test_resizes_views_of_another_size_with_padding() -> None:
    message = ur5(base_rgb=np.full((48, 64, 3), 200, dtype=np.uint8))
    view = WireFormat(UR5E).decode(message, 16, "").images[0]
    assert view.shape == (16, 16, 3)
    assert (view[:2] == 0).all() and (view[2:14] == 200).all() and (view[14:] == 0).all()


def test_cuts_float_images_to_whole_numbers() -> None:
    message = ur5(base_rgb=np.full((8, 8, 3), 0.999, dtype=np.float32))
    assert WireFormat(UR5E).decode(message, 8, "").images[0, 0, 0, 0] == 254


def test_a_client_without_a_prompt_gets_the_servers() -> None:
    message = ur5()
    del message["prompt"]
    assert WireFormat(UR5E).decode(message, 8, "open the drawer").prompt == "open the drawer"


def without(message: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in keys}


def with_images(**changes: Any) -> dict[str, Any]:
    images = aloha()["images"] | changes
    return aloha(images={name: view for name, view in images.items() if view is not None})


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ([1], "the observation is list, a map expected"),
        ({}, r"has the keys \(none\); ur5e expects state, images or joints, gripper, base_rgb"),
        ({"qpos": 1}, "has the keys qpos; ur5e expects state, images or joints"),
        (without(ur5(), "gripper"), "has no 'gripper'"),
        (without(ur5(), "wrist_rgb"), "has no 'wrist_rgb'"),
        (without(ur5(), "prompt"), "'prompt' is ''; send an instruction"),
        (ur5(prompt=7), "'prompt' is 7"),
        (ur5(joints=np.zeros(7)), r"'joints' has shape \(7,\), \(6,\) expected"),
        (ur5(joints=np.zeros((1, 6))), r"'joints' has shape \(1, 6\)"),
        (ur5(joints="home"), "'joints' is str, numbers expected"),
        (ur5(joints=np.full(6, np.nan)), "'joints' is not finite"),
        (ur5(base_rgb="picture"), "'base_rgb' is str, an array expected"),
        (ur5(base_rgb=np.zeros((8, 8), np.uint8)), r"'base_rgb' has shape \(8, 8\)"),
        (ur5(base_rgb=np.zeros((1, 3, 8, 8), np.uint8)), r"shape \(1, 3, 8, 8\)"),
        (ur5(base_rgb=np.zeros((0, 8, 3), np.uint8)), "'base_rgb' is empty"),
        (ur5(base_rgb=np.zeros((8, 8, 3), np.int64)), "'base_rgb' is int64; send uint8"),
        (ur5(base_rgb=np.full((8, 8, 3), 255.0)), r"floats in \[0, 1\]"),
        (ur5(base_rgb=np.full((8, 8, 3), np.nan)), r"floats in \[0, 1\]"),
    ],
)
def test_names_what_is_wrong_with_a_flat_observation(message: Any, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        WireFormat(UR5E).decode(message, 8, "")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (with_images(cam_front=np.zeros((3, 8, 8), np.uint8)), "unknown camera cam_front"),
        (with_images(cam_left_wrist=None), "no image of cam_left_wrist"),
        (aloha(images=np.zeros(3)), "images is ndarray, a map of cameras expected"),
        (without(aloha(), "images"), "has no 'images'"),
        (without(aloha(), "state"), "has no 'state'"),
        (aloha(state=np.zeros(7)), r"'state' has shape \(7,\), \(14,\) expected"),
        (ur5(), "bimanual_trossen expects state, images$"),
    ],
)
def test_names_what_is_wrong_with_a_nested_observation(message: Any, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        WireFormat(TROSSEN).decode(message, 8, "")


@pytest.mark.parametrize(
    ("name", "layout"),
    [("bimanual_trossen", "images"), ("ur5e", "images"), ("ur5e", "ur5"), ("franka", "droid")],
)
def test_what_our_robot_sends_our_server_reads(name: str, layout: str) -> None:
    embodiment = load(name)
    wire = WireFormat(embodiment)
    sent = example_observation(embodiment, 8)
    received: Observation = wire.decode(unpack(pack(wire.encode(sent, layout))), 8, "")
    np.testing.assert_array_equal(received.images, sent.images)
    np.testing.assert_array_equal(received.state, sent.state)
    assert (received.prompt, received.slot_mask) == (sent.prompt, sent.slot_mask)


def test_an_aloha_server_gets_channels_first_and_a_droid_server_last() -> None:
    nested = WireFormat(FRANKA).encode(example_observation(FRANKA, 8), "images")
    assert nested["images"]["base_camera"].shape == (3, 8, 8)
    flat = WireFormat(FRANKA).encode(example_observation(FRANKA, 8), "droid")
    assert flat["observation/wrist_image_left"].shape == (8, 8, 3)
    assert flat["observation/gripper_position"].shape == (1,)


def test_refuses_a_layout_that_does_not_fit_the_robot() -> None:
    with pytest.raises(PolicyError, match="'droid' does not fit ur5e; give one of images, ur5"):
        WireFormat(UR5E).encode(example_observation(UR5E, 8), "droid")
