"""Sizes of frames."""

from __future__ import annotations

import dataclasses

import pytest

from pi0_bringup.drivers.images import check_aspect
from pi0_ros.embodiment import load


def test_refuses_an_aspect_the_camera_does_not_have() -> None:
    camera = load("bimanual_trossen").cameras[0]
    check_aspect(camera, 168, 224)
    check_aspect(dataclasses.replace(camera, width=1280, height=720), 126, 224)
    with pytest.raises(ValueError, match=r"224x224 do not have the aspect.*give height 168"):
        check_aspect(camera, 224, 224)
