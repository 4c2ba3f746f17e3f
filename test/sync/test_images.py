"""Frames that are no frames are refused by name, whatever the library makes of them."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from pi0_ros.camera_encodings import ImageError
from pi0_ros.embodiment import load
from pi0_ros.sync.images import FrameReader

CAMERA = load("ur5e").cameras[0]
JPEG = replace(CAMERA, message_type="sensor_msgs/msg/CompressedImage", encoding="jpeg")
FRAME_HEADER = b"\xff\xc0\x00\x11\x08"  # then height and width, two bytes each


def _compressed(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(data=data, format="jpeg")


def _encoded(kind: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (CAMERA.width, CAMERA.height)).save(data, kind)
    return data.getvalue()


def test_a_jpeg_that_claims_an_absurd_size_is_refused_and_not_raised_through() -> None:
    data = _encoded("JPEG")
    at = data.index(FRAME_HEADER) + len(FRAME_HEADER)
    huge = data[:at] + (45_000).to_bytes(2, "big") + (60_000).to_bytes(2, "big") + data[at + 4 :]
    with pytest.raises(ImageError, match="are no JPEG image"):
        FrameReader(JPEG).check(_compressed(huge))


def test_another_encoding_than_the_embodiments_is_named_with_the_fix() -> None:
    said = "encoding is 'png', the embodiment says 'jpeg'; correct the driver or"
    with pytest.raises(ImageError, match=said):
        FrameReader(JPEG).check(_compressed(_encoded("PNG")))


def test_an_unknown_encoding_lists_the_known_ones() -> None:
    known = (
        r"'yuv422' is not a known camera encoding; use one of rgb8, bgr8, .*jpeg, png, or install"
    )
    with pytest.raises(ValueError, match=known):
        FrameReader(replace(CAMERA, encoding="yuv422"))
