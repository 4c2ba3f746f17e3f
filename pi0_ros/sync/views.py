"""The buffer that the frames of a set are drawn into, at the model's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pi0_ros.embodiment.types import CAMERA_SLOTS, Embodiment
from pi0_ros.sync.resize import letterbox


class Canvas(Protocol):
    """Takes a decoded frame of each camera and keeps its pixels until the next one."""

    @property
    def images(self) -> Mapping[str, NDArray[np.uint8]]:
        """RGB pixels (H, W, 3) by camera name, overwritten by the next frame."""

    def draw(self, camera: str, image: Image.Image) -> None:
        """Keep a camera's frame. If it raises, the camera's pixels are undefined."""


def view_order(embodiment: Embodiment) -> tuple[str, ...]:
    """Names of the V cameras in the order of the model's slots."""
    by_slot = {camera.slot: camera.name for camera in embodiment.cameras}
    return tuple(by_slot[slot] for slot in CAMERA_SLOTS if slot in by_slot)


class Views:
    """Draws every camera at ``size`` squared into one array (V, size, size, 3), in slot order.

    ``pixels`` is the array to draw into; without it, a new one is made.
    """

    def __init__(
        self, embodiment: Embodiment, size: int, pixels: NDArray[np.uint8] | None = None
    ) -> None:
        names = view_order(embodiment)
        shape = (len(names), size, size, 3)
        self.pixels = np.zeros(shape, dtype=np.uint8) if pixels is None else pixels
        if self.pixels.shape != shape:
            raise ValueError(f"pixels have shape {self.pixels.shape}; give {shape}")
        self._images = dict(zip(names, self.pixels, strict=True))

    @property
    def images(self) -> Mapping[str, NDArray[np.uint8]]:
        """The view (size, size, 3) of each camera."""
        return self._images

    def draw(self, camera: str, image: Image.Image) -> None:
        """Resize a camera's frame into its place, aspect kept, padding 0."""
        letterbox(image, self._images[camera])
