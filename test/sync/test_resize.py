"""Resize with padding against the public clients' pixels and by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pi0_ros.sync import fit_inside, fits_aspect, letterbox, resize_with_pad

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "preprocessing" / "resize_with_pad.npz"


def test_is_within_one_grey_level_of_the_public_clients() -> None:
    with np.load(FIXTURE) as fixture:
        difference = resize_with_pad(fixture["input"], 224).astype(int) - fixture["expected"]
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "fitted"),
    [
        (480, 640, (168, 224)),
        (720, 1280, (126, 224)),
        (1080, 1920, (126, 224)),
        (640, 480, (224, 168)),
        (224, 224, (224, 224)),
        (1, 2240, (1, 224)),
    ],
)
def test_fits_the_sizes_of_the_specification(
    height: int, width: int, fitted: tuple[int, int]
) -> None:
    assert fit_inside(height, width, 224) == fitted


def test_pads_evenly_with_black() -> None:
    image = np.full((480, 640, 3), 200, dtype=np.uint8)
    resized = resize_with_pad(image, 224)
    assert (resized[:28] == 0).all()
    assert (resized[28:196] == 200).all()
    assert (resized[196:] == 0).all()


def test_pads_an_upright_image_left_and_right() -> None:
    resized = resize_with_pad(np.full((640, 480, 3), 9, dtype=np.uint8), 224)
    assert (resized[:, :28] == 0).all()
    assert (resized[:, 28:196] == 9).all()
    assert (resized[:, 196:] == 0).all()


def test_an_image_of_the_right_size_is_unchanged() -> None:
    image = np.arange(14 * 14 * 3, dtype=np.uint8).reshape(14, 14, 3)
    np.testing.assert_array_equal(resize_with_pad(image, 14), image)


def test_a_grey_image_fills_all_channels_and_overwrites_what_was_there() -> None:
    out = np.full((16, 16, 3), 7, dtype=np.uint8)
    letterbox(Image.new("L", (32, 16), 100), out)
    assert (out[4:12] == 100).all()
    assert (out[:4] == 0).all()
    assert (out[12:] == 0).all()


def test_refuses_a_float_image() -> None:
    with pytest.raises(ValueError, match="image is float64"):
        resize_with_pad(np.zeros((4, 4, 3)), 224)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("height", "width", "fits"),
    [
        (480, 640, True),
        (240, 320, True),
        (270, 360, True),
        (241, 320, True),
        (480, 848, False),
        (640, 480, False),
    ],
)
def test_accepts_any_size_of_the_expected_aspect(height: int, width: int, fits: bool) -> None:
    assert fits_aspect(height, width, 480, 640) is fits
