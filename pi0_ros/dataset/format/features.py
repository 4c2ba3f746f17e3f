"""The ``features`` of meta/info.json, and the parquet columns that hold them.

Each feature except a video has a column. LeRobot refuses a file with any other column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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

    ``names`` labels the values, as the file has it: a list or a mapping of lists. ``info``
    describes the encoding of a video.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    names: Any = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_video(self) -> bool:
        """Whether mp4 files hold its frames."""
        return self.dtype == "video"

    @property
    def is_image(self) -> bool:
        """Whether the parquet files hold its frames as encoded images."""
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
        """One label for each value; indices if the dataset has no labels."""
        names = self.names
        if isinstance(names, Mapping):
            names = [name for values in names.values() for name in values]
        if not names or len(names) != self.shape[0]:
            names = range(self.shape[0])
        return tuple(str(name) for name in names)

    def arrow_type(self) -> pa.DataType:
        """Type of its column. Raises :class:`DatasetError` for an unsupported dtype or shape."""
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
        raise DatasetError(f"feature {self.name}: shape {self.shape} is not a vector")

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


#: Columns of every dataset.
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
    """Features of an embodiment's frames; the automatic ones come last.

    ``sizes``: height and width [pixels] by feature name. Without a codec, the frames are images.
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
    """Feature of a depth camera: 16-bit PNG in the driver's unit (usually millimetres)."""
    return Feature(
        name=depth_key(camera),
        dtype="image",
        shape=(height, width, 1),
        names=("height", "width", "channels"),
        info={"is_depth_map": True},
    )


def schema(features: Mapping[str, Feature]) -> pa.Schema:
    """Columns of the data files: all features except videos."""
    return pa.schema(
        [(name, feature.arrow_type()) for name, feature in features.items() if not feature.is_video]
    )


def column_array(column: pa.ChunkedArray) -> NDArray[Any]:
    """Convert a numeric column to an array (N,) or (N, n)."""
    if not pa.types.is_list(column.type) and not pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.to_numpy())
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(flat).reshape(len(column), -1) if flat else np.empty((0, 0))


def vector_column(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Convert an array (N,) or (N, n) to a column of this type."""
    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    return pa.array(values, kind)
