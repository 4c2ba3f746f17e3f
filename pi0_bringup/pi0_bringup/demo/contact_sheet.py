"""One picture of what the policy saw: a row for each camera, a column for each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pi0_bringup.demo.recording import Recording
from pi0_ros.embodiment import CAMERA_SLOTS, Camera, Embodiment

_GAP = 6
_HEADER = 64
_MARGIN = 150
_INK = (32, 32, 32)
_PAPER = (255, 255, 255)


def draw_contact_sheet(recording: Recording, robot: Embodiment, title: str, path: Path) -> None:
    """Write the sheet as PNG, without the padding of the model's views.

    Raises ValueError if there are no frames.
    """
    if not recording.frames:
        raise ValueError("no frames recorded")
    cameras = sorted(robot.cameras, key=lambda camera: CAMERA_SLOTS.index(camera.slot))
    rows = [[_crop(v[i], c) for _, v in recording.frames] for i, c in enumerate(cameras)]
    width = max(row[0].shape[1] for row in rows)
    heights = [row[0].shape[0] for row in rows]
    sheet = Image.new(
        "RGB",
        (
            _MARGIN + len(recording.frames) * (width + _GAP),
            _HEADER + sum(heights) + _GAP * len(rows),
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 8), title, _INK, ImageFont.load_default(20))
    small = ImageFont.load_default(15)
    for column, (time_s, _) in enumerate(recording.frames):
        x = _MARGIN + column * (width + _GAP)
        draw.text((x, _HEADER - 22), f"{time_s:.1f} s", _INK, small)
    y = _HEADER
    for camera, row, height in zip(cameras, rows, heights, strict=True):
        label = f"{camera.name}\n{camera.slot}\n{camera.width} x {camera.height}"
        draw.multiline_text((_GAP, y + height // 2 - 28), label, _INK, small, spacing=4)
        for column, view in enumerate(row):
            sheet.paste(Image.fromarray(view), (_MARGIN + column * (width + _GAP), y))
        y += height + _GAP
    sheet.save(path)


def _crop(view: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    """The camera's image without the padding of its view (H, W, 3)."""
    height, width = view.shape[:2]
    scale = min(width / camera.width, height / camera.height)
    rows = round(camera.height * scale)
    columns = round(camera.width * scale)
    top, left = (height - rows) // 2, (width - columns) // 2
    return view[top : top + rows, left : left + columns]
