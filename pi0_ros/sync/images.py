"""From sensor_msgs/Image and CompressedImage to pixels, refusing what the embodiment excludes.

Checking is cheap and done for every message; decoding is done only for frames
that go into a set.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from PIL import Image

from pi0_ros.embodiment.types import Camera
from pi0_ros.sync.resize import fits_aspect


class ImageError(ValueError):
    """A frame that cannot be used; the message names the value and the fix."""


@dataclass(frozen=True, slots=True)
class _PixelLayout:
    mode: str  # Pillow's mode after unpacking
    raw_mode: str  # Pillow's name of the bytes' order
    bytes_per_pixel: int


_LAYOUTS = {
    "rgb8": _PixelLayout("RGB", "RGB", 3),
    "bgr8": _PixelLayout("RGB", "BGR", 3),
    "rgba8": _PixelLayout("RGB", "RGBX", 4),
    "bgra8": _PixelLayout("RGB", "BGRX", 4),
    "mono8": _PixelLayout("L", "L", 1),
}
_FILE_FORMATS = {"jpeg": "JPEG", "png": "PNG"}
# What Pillow raises for data that are no picture, or one of absurd size.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)

KnownT = TypeVar("KnownT")


class RawReader:
    """Reads sensor_msgs/msg/Image of one camera. Raises ValueError for an unknown encoding."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._layout = _of_encoding(camera, _LAYOUTS, "raw")

    def check(self, message: Any) -> None:
        """Raise :class:`ImageError` unless encoding, size and length are as agreed."""
        _check_encoding(message.encoding, self._camera)
        _check_size(message.height, message.width, self._camera)
        row = message.width * self._layout.bytes_per_pixel
        if message.step < row or len(message.data) < message.step * message.height:
            raise ImageError(
                f"{len(message.data)} bytes with a step of {message.step} do not hold"
                f" {message.height} rows of {row} bytes; correct the driver"
            )

    def decode(self, message: Any) -> Image.Image:
        """The frame as an RGB or grey image; call :meth:`check` first."""
        return Image.frombuffer(
            self._layout.mode,
            (message.width, message.height),
            message.data,
            "raw",
            self._layout.raw_mode,
            message.step,
            1,
        )


class CompressedReader:
    """Reads sensor_msgs/msg/CompressedImage of one camera. Raises as :class:`RawReader`."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._file_format = _of_encoding(camera, _FILE_FORMATS, "compressed")

    def check(self, message: Any) -> None:
        """Raise :class:`ImageError` unless format and size are as agreed; reads the header only."""
        self._open(message)

    def decode(self, message: Any) -> Image.Image:
        """The frame as an RGB image. Raises :class:`ImageError` if the data are corrupt."""
        image = self._open(message)
        try:
            return image.convert("RGB")
        except _UNREADABLE as error:
            raise ImageError(f"{self._file_format} data are corrupt: {error}") from error

    def _open(self, message: Any) -> Image.Image:
        try:
            image = Image.open(io.BytesIO(message.data), formats=list(_FILE_FORMATS.values()))
        except _UNREADABLE as error:
            raise ImageError(
                f"{len(message.data)} bytes (format {message.format!r}) are no"
                f" {self._file_format} image: {error}"
            ) from error
        _check_encoding(str(image.format).lower(), self._camera)
        _check_size(image.height, image.width, self._camera)
        return image


def reader_for(camera: Camera) -> RawReader | CompressedReader:
    """The reader for a camera's message type."""
    if camera.message_type == "sensor_msgs/msg/CompressedImage":
        return CompressedReader(camera)
    return RawReader(camera)


def _of_encoding(camera: Camera, known: Mapping[str, KnownT], kind: str) -> KnownT:
    """What is known of the encoding that the embodiment states."""
    if camera.encoding not in known:
        raise ValueError(
            f"camera {camera.name}: encoding {camera.encoding!r} of a {kind} image is not"
            f" supported; use one of {', '.join(known)}"
        )
    return known[camera.encoding]


def _check_encoding(found: str, camera: Camera) -> None:
    if found != camera.encoding:
        raise ImageError(
            f"encoding is {found!r}, the embodiment says {camera.encoding!r};"
            " correct the driver or the embodiment file"
        )


def _check_size(height: int, width: int, camera: Camera) -> None:
    if height < 1 or width < 1 or not fits_aspect(height, width, camera.height, camera.width):
        raise ImageError(
            f"size is {width}x{height}, the embodiment says {camera.width}x{camera.height} or"
            " another size of that aspect; correct the driver or the embodiment file"
        )
