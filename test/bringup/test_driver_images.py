"""Frames in the encodings drivers use."""

from __future__ import annotations

import array
import dataclasses

import cv2
import numpy as np
import pytest

from pi0_bringup.drivers.images import check_aspect, encode
from pi0_ros.embodiment import load

RED_GREEN = np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("encoding", "expected", "step"),
    [
        ("rgb8", [255, 0, 0, 0, 255, 0], 6),
        ("bgr8", [0, 0, 255, 0, 255, 0], 6),
        ("rgba8", [255, 0, 0, 255, 0, 255, 0, 255], 8),
        ("mono8", [76, 150], 2),
    ],
)
def test_encodes_pixels(encoding: str, expected: list[int], step: int) -> None:
    frame = encode(RED_GREEN, encoding)
    assert frame.data.tolist() == expected
    assert (frame.height, frame.width, frame.step) == (1, 2, step)


def test_payload_is_an_array_that_rclpy_takes_without_copying() -> None:
    data = encode(RED_GREEN, "rgb8").data
    assert isinstance(data, array.array)
    assert data.typecode == "B"


def test_compresses() -> None:
    rgb = np.full((16, 16, 3), (200, 30, 30), dtype=np.uint8)
    file = np.frombuffer(encode(rgb, "png").data, np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(file, cv2.IMREAD_COLOR)[0, 0], [30, 30, 200])


def test_refuses_an_unknown_encoding() -> None:
    with pytest.raises(ValueError, match="'yuv422' is not one of rgb8"):
        encode(RED_GREEN, "yuv422")


def test_refuses_an_aspect_the_camera_does_not_have() -> None:
    camera = load("bimanual_trossen").cameras[0]
    check_aspect(camera, 168, 224)
    check_aspect(dataclasses.replace(camera, width=1280, height=720), 126, 224)
    with pytest.raises(ValueError, match=r"224x224 do not have the aspect.*give height 168"):
        check_aspect(camera, 224, 224)
