"""Frames in the encodings drivers use."""

from __future__ import annotations

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pi0_ros.camera_encodings import CAMERA_ENCODINGS, EncodedFrame

RED_GREEN = np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8)


def encode(rgb: np.ndarray, encoding: str) -> EncodedFrame:
    return CAMERA_ENCODINGS.get(encoding).encode(rgb)


@pytest.mark.parametrize(
    ("encoding", "expected", "step"),
    [
        ("rgb8", [255, 0, 0, 0, 255, 0], 6),
        ("bgr8", [0, 0, 255, 0, 255, 0], 6),
        ("rgba8", [255, 0, 0, 255, 0, 255, 0, 255], 8),
        ("bgra8", [0, 0, 255, 255, 0, 255, 0, 255], 8),
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


@pytest.mark.parametrize("name", CAMERA_ENCODINGS.names())
def test_decodes_what_it_encodes(name: str) -> None:
    rgb = np.full((16, 16, 3), (90, 90, 90), dtype=np.uint8)
    encoding = CAMERA_ENCODINGS.get(name)
    frame = encoding.encode(rgb)
    message = SimpleNamespace(
        encoding=name, height=16, width=16, step=frame.step, data=frame.data, format=name
    )
    assert encoding.header(message) == (name, 16, 16)
    encoding.check(message)
    np.testing.assert_array_equal(np.asarray(encoding.decode(message).convert("RGB")), rgb)
