"""Depth images with 16 bits per pixel; the values stay unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.errors import DatasetError

_ENCODINGS = ("16UC1", "mono16")


def read_depth(topic: str, message: Any) -> NDArray[np.uint16]:
    """Pixels (H, W) of a sensor_msgs/Image, in the driver's unit.

    Raises :class:`DatasetError` if the encoding differs or bytes are missing.
    """
    if message.encoding not in _ENCODINGS:
        raise DatasetError(
            f"{topic}: encoding is {message.encoding!r}; a depth camera sends"
            f" {' or '.join(_ENCODINGS)}"
        )
    height, width, step = message.height, message.width, message.step
    if step < 2 * width or len(message.data) < height * step:
        raise DatasetError(
            f"{topic}: {len(message.data)} bytes with a step of {step} do not hold {height} rows"
            f" of {2 * width} bytes"
        )
    kind = ">u2" if message.is_bigendian else "<u2"
    rows = np.frombuffer(message.data, np.uint8, height * step).reshape(height, step)
    pixels = np.ascontiguousarray(rows[:, : 2 * width]).view(kind)
    return pixels.astype(np.uint16)
