"""Camera encodings: from a frame's bytes to pixels and back, by the name that drivers use.

An encoding of another package is offered through the entry-point group
``pi0_ros.camera_encodings``. Importing this package imports no ROS message.
"""

from __future__ import annotations

from pi0_ros.camera_encodings.compressed import CompressedFile
from pi0_ros.camera_encodings.encoding import (
    COMPRESSED_IMAGE,
    IMAGE,
    CameraEncoding,
    EncodedFrame,
    FrameHeader,
    ImageError,
)
from pi0_ros.camera_encodings.packed_pixels import PackedPixels
from pi0_ros.extensions import ExtensionTable

CAMERA_ENCODINGS: ExtensionTable[CameraEncoding] = ExtensionTable(
    "camera encoding", "pi0_ros.camera_encodings", CameraEncoding
)
for _encoding in (
    PackedPixels("rgb8", "RGB", "RGB", channels=(0, 1, 2)),
    PackedPixels("bgr8", "RGB", "BGR", channels=(2, 1, 0)),
    PackedPixels("rgba8", "RGB", "RGBX", channels=(0, 1, 2, 3)),
    PackedPixels("bgra8", "RGB", "BGRX", channels=(2, 1, 0, 3)),
    PackedPixels("mono8", "L", "L", channels=()),
    CompressedFile("jpeg", "JPEG", quality=95),
    CompressedFile("png", "PNG", compress_level=1),
):
    CAMERA_ENCODINGS.add(_encoding.name, _encoding)

__all__ = [
    "CAMERA_ENCODINGS",
    "COMPRESSED_IMAGE",
    "IMAGE",
    "CameraEncoding",
    "EncodedFrame",
    "FrameHeader",
    "ImageError",
]
