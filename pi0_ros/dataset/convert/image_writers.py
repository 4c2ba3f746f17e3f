"""Writers for the frames of one camera during a conversion: a video or PNG images.

Both have ``add`` (a new frame), ``repeat`` (the last frame again), ``close`` (wait for the encoder)
and ``abandon`` (stop; the output is incomplete).
"""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pi0_ros.dataset.format.features import IMAGE_TYPE
from pi0_ros.dataset.video.encoder import VideoEncoder

#: zlib level; fast, the same as LeRobot's. Higher levels save little on camera images.
_PNG_LEVEL = 1
_PNG_THREADS = 2


class PngWriter:
    """Encodes PNG images for a parquet column in its own threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_PNG_THREADS)
        self._images: list[Future[bytes]] = []

    def add(self, image: NDArray[Any]) -> None:
        """Add a new frame: RGB uint8 (H, W, 3) or depth uint16 (H, W)."""
        self._images.append(self._pool.submit(png, image))

    def repeat(self) -> None:
        """Repeat the last frame."""
        self._images.append(self._images[-1])

    def close(self) -> None:
        """Wait for the threads."""
        self._pool.shutdown()

    def abandon(self) -> None:
        """Stop encoding."""
        self._pool.shutdown(cancel_futures=True)

    def column(self) -> pa.Array:
        """The images as a parquet column; call :meth:`close` first."""
        rows = [{"bytes": image.result(), "path": None} for image in self._images]
        return pa.array(rows, IMAGE_TYPE)


def png(image: NDArray[Any]) -> bytes:
    """Encode an image as PNG: RGB uint8 (H, W, 3) or 16-bit grey uint16 (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


ImageWriter = VideoEncoder | PngWriter
