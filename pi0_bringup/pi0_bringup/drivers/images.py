"""Sizes of the frames that a simulated camera may send."""

from __future__ import annotations

from pi0_ros.embodiment import Camera
from pi0_ros.sync import fits_aspect


def check_aspect(camera: Camera, height: int, width: int) -> None:
    """Raise ValueError unless a frame of this size shows what the camera does."""
    if height < 1 or width < 1 or not fits_aspect(height, width, camera.height, camera.width):
        raise ValueError(
            f"frames of {width}x{height} do not have the aspect of camera {camera.name!r}, "
            f"{camera.width}x{camera.height}; for width {width} give height "
            f"{round(width * camera.height / camera.width)}"
        )
