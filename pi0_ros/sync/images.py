"""From the frames of a camera to pixels, refusing what the embodiment excludes.

Every message is checked, which is cheap. Only the frames that go into a set are decoded.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from pi0_ros.camera_encodings import CAMERA_ENCODINGS, ImageError
from pi0_ros.embodiment.types import Camera
from pi0_ros.sync.resize import fits_aspect


class FrameReader:
    """Reads the frames of one camera. Raises ValueError for an encoding that is not known."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._encoding = CAMERA_ENCODINGS.get(camera.encoding)

    def check(self, message: Any) -> None:
        """Raise :class:`ImageError` unless encoding, size and length are as agreed."""
        camera = self._camera
        found, height, width = self._encoding.header(message)
        if found != camera.encoding and found not in self._encoding.aliases:
            raise ImageError(
                f"encoding is {found!r}, the embodiment says {camera.encoding!r};"
                " correct the driver or the embodiment file"
            )
        if height < 1 or width < 1 or not fits_aspect(height, width, camera.height, camera.width):
            raise ImageError(
                f"size is {width}x{height}, the embodiment says {camera.width}x{camera.height} or"
                " another size of that aspect; correct the driver or the embodiment file"
            )
        self._encoding.check(message)

    def decode(self, message: Any) -> Image.Image:
        """The frame as an RGB or grey image; call :meth:`check` first.

        Raises :class:`ImageError` if the data are corrupt.
        """
        return self._encoding.decode(message)
