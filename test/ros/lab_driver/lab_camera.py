"""The one file of a package that adds a camera encoding: grey in 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from pi0_ros.camera_encodings import CameraEncoding, EncodedFrame, ImageError
from pi0_ros.camera_encodings.encoding import byte_array


class Mono16(CameraEncoding):
    """sensor_msgs/Image of one number of 16 bits per pixel; the lower 8 bits are dropped."""

    name = "mono16"

    def check(self, message: Any) -> None:
        if len(message.data) < 2 * message.width * message.height:
            raise ImageError(f"{len(message.data)} bytes are too few; correct the driver")

    def decode(self, message: Any) -> Image.Image:
        pixels = np.frombuffer(message.data, "<u2").reshape(message.height, message.width)
        return Image.fromarray((pixels >> 8).astype(np.uint8))

    def encode(self, rgb: np.ndarray) -> EncodedFrame:
        height, width = rgb.shape[:2]
        grey = np.asarray(Image.fromarray(rgb).convert("L")).astype("<u2") << 8
        data = byte_array(grey.tobytes())
        return EncodedFrame(height=height, width=width, step=2 * width, data=data)
