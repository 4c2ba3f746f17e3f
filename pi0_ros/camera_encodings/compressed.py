"""Image files in a message: jpeg and png."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pi0_ros.camera_encodings.encoding import (
    COMPRESSED_IMAGE,
    CameraEncoding,
    EncodedFrame,
    FrameHeader,
    ImageError,
    byte_array,
)

#: Formats that are told apart, so that a PNG on a JPEG camera is named.
_FORMATS = ["JPEG", "PNG"]
# What Pillow raises for data that are no picture, or one of absurd size.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class CompressedFile(CameraEncoding):
    """sensor_msgs/CompressedImage; ``options`` are Pillow's for writing the format."""

    message_type = COMPRESSED_IMAGE

    def __init__(self, name: str, file_format: str, **options: Any) -> None:
        self.name = name
        self._file_format, self._options = file_format, options

    def header(self, message: Any) -> FrameHeader:
        image = self._open(message)
        return FrameHeader(str(image.format).lower(), image.height, image.width)

    def decode(self, message: Any) -> Image.Image:
        try:
            return self._open(message).convert("RGB")
        except _UNREADABLE as error:
            raise ImageError(f"{self._file_format} data are corrupt: {error}") from error

    def encode(self, rgb: NDArray[np.uint8]) -> EncodedFrame:
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(rgb)).save(buffer, self._file_format, **self._options)
        height, width = rgb.shape[:2]
        return EncodedFrame(height=height, width=width, step=0, data=byte_array(buffer.getvalue()))

    def _open(self, message: Any) -> Image.Image:
        try:
            return Image.open(io.BytesIO(message.data), formats=_FORMATS)
        except _UNREADABLE as error:
            raise ImageError(
                f"{len(message.data)} bytes (format {message.format!r}) are no"
                f" {self._file_format} image: {error}"
            ) from error
