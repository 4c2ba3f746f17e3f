"""What a frame holds: the ``features`` of meta/info.json and the parquet columns they become.

Exactly the features that are no video have a column; LeRobot refuses any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.video.encoder import Codec
from pi0_ros.embodiment import Embodiment

STATE = "observation.state"
ACTION = "action"
IMAGE_PREFIX = "observation.images."
DEPTH_PREFIX = "observation.depth."

#: An encoded image inside a parquet file.
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_STRINGS = ("string", "language")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One entry of ``features``: a numpy dtype name, "image", "video" or "string".

    ``names`` labels the values and is kept as the file has it: a list, or a mapping of
    lists. ``info`` is what an encoder has to say about its video.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    names: Any = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_video(self) -> bool:
        """Whether its frames are in an mp4."""
        return self.dtype == "video"

    @property
    def is_image(self) -> bool:
        """Whether its frames are encoded images in the parquet file."""
        return self.dtype == "image"

    @property
    def is_numeric(self) -> bool:
        """Whether it is a number or a vector."""
        return not (self.is_video or self.is_image or self.dtype in _STRINGS)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image or a video [pixels]."""
        if self.shape[0] in (1, 3) and self.shape[2] not in (1, 3):  # channels first
            return self.shape[1], self.shape[2]
        return self.shape[0], self.shape[1]

    @property
    def labels(self) -> tuple[str, ...]:
        """A label per value; numbers where the dataset gives none."""
        names = self.names
        if isinstance(names, Mapping):
            names = [name for values in names.values() for name in values]
        if not names or len(names) != self.shape[0]:
            names = range(self.shape[0])
        return tuple(str(name) for name in names)

    def arrow_type(self) -> pa.DataType:
        """Type of its column. Raises :class:`DatasetError` for a shape this room cannot write."""
        if self.is_image:
            return IMAGE_TYPE
        if self.dtype in _STRINGS:
            return pa.string()
        try:
            number = pa.type_for_alias(self.dtype)
        except ValueError as error:
            raise DatasetError(f"feature {self.name}: unknown dtype {self.dtype!r}") from error
        if self.shape == (1,):
            return number
        if len(self.shape) == 1:
            return pa.list_(number, self.shape[0])
        raise DatasetError(f"feature {self.name}: shape {self.shape} is no vector")

    def to_json(self) -> dict[str, Any]:
        """Its entry in meta/info.json."""
        entry: dict[str, Any] = {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "names": list(self.names) if isinstance(self.names, tuple) else self.names,
        }
        if self.info:
            entry["info"] = dict(self.info)
        return entry

    @classmethod
    def from_json(cls, name: str, entry: Mapping[str, Any]) -> Feature:
        """Read an entry of meta/info.json. Raises :class:`DatasetError`."""
        try:
            return cls(
                name=name,
                dtype=str(entry["dtype"]),
                shape=tuple(int(n) for n in entry["shape"]),
                names=entry.get("names"),
                info=entry.get("info") or entry.get("video_info") or {},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"feature {name}: damaged entry {entry!r}: {error!r}") from error


#: Columns every dataset has.
AUTOMATIC = tuple(
    Feature(name=name, dtype=dtype, shape=(1,))
    for name, dtype in (
        ("timestamp", "float32"),
        ("frame_index", "int64"),
        ("episode_index", "int64"),
        ("index", "int64"),
        ("task_index", "int64"),
    )
)


def camera_key(camera: str) -> str:
    """Feature name of a camera."""
    return IMAGE_PREFIX + camera


def depth_key(camera: str) -> str:
    """Feature name of a depth camera."""
    return DEPTH_PREFIX + camera


def robot_features(
    embodiment: Embodiment, sizes: Mapping[str, tuple[int, int]], codec: Codec | None, fps: int
) -> dict[str, Feature]:
    """Features of an embodiment's frames, the automatic ones last.

    ``sizes``: height and width [pixels] by feature name; without a codec the frames are
    images.
    """
    features = [
        Feature(
            name=key,
            dtype="video" if codec else "image",
            shape=(*sizes[key], 3),
            names=("height", "width", "channels"),
            info=codec.info(*sizes[key], fps) if codec else {},
        )
        for key in (camera_key(camera.name) for camera in embodiment.cameras)
    ]
    for name, names in ((STATE, embodiment.state_names), (ACTION, embodiment.action_names)):
        features.append(Feature(name=name, dtype="float32", shape=(len(names),), names=names))
    return {feature.name: feature for feature in (*features, *AUTOMATIC)}


def depth_feature(camera: str, height: int, width: int) -> Feature:
    """A depth camera: 16-bit PNG, in the unit of the driver (millimetres, mostly)."""
    return Feature(
        name=depth_key(camera),
        dtype="image",
        shape=(height, width, 1),
        names=("height", "width", "channels"),
        info={"is_depth_map": True},
    )


def schema(features: Mapping[str, Feature]) -> pa.Schema:
    """Columns of the data files: every feature but the videos."""
    return pa.schema(
        [(name, feature.arrow_type()) for name, feature in features.items() if not feature.is_video]
    )
