"""Cameras that show a moving test pattern."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pi0_ros.camera_encodings import CAMERA_ENCODINGS, EncodedFrame
from pi0_ros.embodiment import Camera

#: Frames after which the pattern repeats.
PHASES = 12

# White, yellow, cyan, green, magenta, red, blue, black: colour bars at 75 %.
_BARS = np.array([[r, g, b] for g in (191, 0) for r in (191, 0) for b in (191, 0)], dtype=np.uint8)


def pattern(height: int, width: int, phase: int, label: str) -> NDArray[np.uint8]:
    """Colour bars under a ramp with a bright stripe that moves down with the phase.

    Returns uint8 RGB of shape (height, width, 3); any two phases differ.
    """
    image = np.repeat(_BARS, -(-width // len(_BARS)), axis=0)[np.newaxis, :width]
    image = np.repeat(image, height, axis=0)
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    image[height * 3 // 4 :] = ramp[np.newaxis, :, np.newaxis]
    thickness = max(height // PHASES, 1)
    top = (phase % PHASES) * height // PHASES
    image[top : top + thickness] = 255 - image[top : top + thickness]
    image = np.ascontiguousarray(image)
    scale = width / 640.0
    cv2.putText(
        image,
        label,
        (round(20 * scale), height // 2),
        cv2.FONT_HERSHEY_SIMPLEX,
        1.4 * scale,
        (255, 255, 255),
        max(round(3 * scale), 1),
    )
    return image


def scaled_size(camera: Camera, scale: float) -> tuple[int, int]:
    """Height and width of the camera's frames at this scale, aspect kept.

    Raises ValueError unless 0 < scale <= 1.
    """
    if not 0.0 < scale <= 1.0:
        raise ValueError(f"camera_scale is {scale}; give a number above 0 and at most 1")
    return max(round(camera.height * scale), 1), max(round(camera.width * scale), 1)


class PatternCamera:
    """The frames of one camera, encoded once and sent in turn.

    A frozen camera repeats its first frame, like a driver that hangs.
    """

    def __init__(self, camera: Camera, scale: float, *, frozen: bool) -> None:
        height, width = scaled_size(camera, scale)
        phases = 1 if frozen else PHASES
        encoding = CAMERA_ENCODINGS.get(camera.encoding)
        self._frames = [
            encoding.encode(pattern(height, width, phase, camera.name)) for phase in range(phases)
        ]
        self._next = 0

    def frame(self) -> EncodedFrame:
        """The next frame."""
        frame = self._frames[self._next]
        self._next = (self._next + 1) % len(self._frames)
        return frame
