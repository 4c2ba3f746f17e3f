"""Summary of a dataset: facts, outcomes, ranges of states and actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.features import ACTION, STATE
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.embodiment import Embodiment


@dataclass(frozen=True, slots=True, kw_only=True)
class JointRange:
    """Range of one dimension over the dataset, and its limits (NaN if unknown).

    ``low``, ``high``: 1 % and 99 % quantiles; ``usual_*`` 10 % and 90 %.
    """

    name: str
    unit: str
    minimum: float
    low: float
    usual_low: float
    usual_high: float
    high: float
    maximum: float
    lower: float
    upper: float

    @property
    def outside(self) -> bool:
        """Whether a value exceeded the limits by more than a rounding error."""
        slack = 1e-3 * (self.upper - self.lower)
        return self.minimum < self.lower - slack or self.maximum > self.upper + slack


def facts(dataset: Dataset) -> dict[str, str]:
    """Facts about a dataset, by title."""
    info, manifest = dataset.info, dataset.manifest
    duration_s = len(dataset) / dataset.fps
    sizes = {key: info.features[key].size for key in dataset.cameras}
    found = {
        "robot": info.robot_type or "not named",
        "episodes": f"{info.total_episodes}, {clock(duration_s)} in all",
        "frames": f"{len(dataset)} at {dataset.fps} Hz",
        "tasks": "; ".join(dataset.tasks),
        "cameras": ", ".join(f"{short(k)} {w}x{h}" for k, (h, w) in sizes.items()) or "none",
        "images": _images(dataset),
    }
    for name in (STATE, ACTION):
        if name in info.features:
            labels = info.features[name].labels
            found[name.removeprefix("observation.")] = f"{len(labels)}: {', '.join(labels)}"
    if manifest is not None:
        found["actions from"] = manifest.actions or "not named"
        found["outcomes"] = ", ".join(f"{n} {text}" for text, n in outcomes(dataset).items())
    found["size"] = f"{disk_bytes(dataset) / 1e6:.1f} MB"
    return found


def outcomes(dataset: Dataset) -> Mapping[str, int]:
    """Number of episodes for each outcome that the operator marked."""
    return Counter(dataset.source(record.index).outcome for record in dataset.records)


def joint_ranges(dataset: Dataset, name: str) -> tuple[JointRange, ...]:
    """Range of each dimension of the state or the action."""
    stats = dataset.number_stats()[name].values
    labels = dataset.info.features[name].labels
    limits = _limits(dataset, name)
    nan = float("nan")
    return tuple(
        JointRange(
            name=label,
            unit=limits[label][2] if label in limits else "",
            minimum=float(stats["min"][i]),
            low=float(stats["q01"][i]),
            usual_low=float(stats["q10"][i]),
            usual_high=float(stats["q90"][i]),
            high=float(stats["q99"][i]),
            maximum=float(stats["max"][i]),
            lower=limits[label][0] if label in limits else nan,
            upper=limits[label][1] if label in limits else nan,
        )
        for i, label in enumerate(labels)
    )


def lengths_s(dataset: Dataset) -> NDArray[np.float64]:
    """Length of each episode [s]."""
    return np.array([record.length / dataset.fps for record in dataset.records])


def disk_bytes(dataset: Dataset) -> int:
    """Size of all files of the dataset [bytes]."""
    return sum(path.stat().st_size for path in dataset.root.rglob("*") if path.is_file())


def clock(seconds: float) -> str:
    """A duration as text: 42.0 s, 3 min 05 s, 1 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def short(key: str) -> str:
    """A feature's name without the prefix common to all cameras."""
    return key.removeprefix("observation.").removeprefix("images.")


def _images(dataset: Dataset) -> str:
    codecs = {
        str(dataset.info.features[key].info.get("video.codec", "video"))
        for key in dataset.info.video_keys
    }
    if dataset.info.image_keys:
        codecs.add("PNG")
    return ", ".join(sorted(codecs)) or "none"


def _limits(dataset: Dataset, name: str) -> dict[str, tuple[float, float, str]]:
    """Lower limit, upper limit and unit by dimension; empty without an embodiment."""
    try:
        robot: Embodiment = dataset.robot()
    except DatasetError:
        return {}
    return {
        dimension.name if name == ACTION else dimension.state or "": (
            dimension.limits.lower,
            dimension.limits.upper,
            dimension.unit,
        )
        for dimension in robot.action
    }
