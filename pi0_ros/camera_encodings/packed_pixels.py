"""Uncompressed pixels of 8 bits a channel: rgb8, bgr8, rgba8, bgra8 and mono8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pi0_ros.camera_encodings.encoding import (
    CameraEncoding,
    EncodedFrame,
    ImageError,
    byte_array,
)


class PackedPixels(CameraEncoding):
    """sensor_msgs/Image whose channels lie beside each other.

    ``mode`` and ``raw_mode``: Pillow's name of the image and of the order of the bytes.
    ``channels``: which of red, green, blue and opaque each byte is; none for grey.
    """

    def __init__(self, name: str, mode: str, raw_mode: str, *, channels: tuple[int, ...]) -> None:
        self.name = name
        self._mode, self._raw_mode, self._channels = mode, raw_mode, channels
        self._bytes_per_pixel = max(1, len(channels))

    def check(self, message: Any) -> None:
        row = message.width * self._bytes_per_pixel
        if message.step < row or len(message.data) < message.step * message.height:
            raise ImageError(
                f"{len(message.data)} bytes with a step of {message.step} do not hold"
                f" {message.height} rows of {row} bytes; correct the driver"
            )

    def decode(self, message: Any) -> Image.Image:
        return Image.frombuffer(
            self._mode,
            (message.width, message.height),
            message.data,
            "raw",
            self._raw_mode,
            message.step,
            1,
        )

    def encode(self, rgb: NDArray[np.uint8]) -> EncodedFrame:
        height, width = rgb.shape[:2]
        pixels = np.ascontiguousarray(self._ordered(rgb))
        return EncodedFrame(
            height=height,
            width=width,
            step=pixels.nbytes // height,
            # A view as bytes, because frombytes takes one dimension only.
            data=byte_array(pixels.reshape(-1).data),
        )

    def _ordered(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self._channels:
            return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).convert("L"))
        if self._channels == (0, 1, 2):
            return rgb
        if len(self._channels) == 4:
            rgb = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
        return rgb[..., self._channels]
