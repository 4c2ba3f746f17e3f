"""Statistics of features, for one episode or several, and their JSON form.

Images are counted in histograms of 256 grey levels, which give exact statistics of the sampled
frames. When episodes are combined, mean and standard deviation stay exact. Quantiles become bounds
(the minimum of the low ones, the maximum of the high ones), as in LeRobot. For vectors,
:func:`vector_stats` over all frames gives the true quantiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
FIELDS = ("min", "max", "mean", "std", "count", *QUANTILES)
_LEVELS = 256
#: Images larger than this are subsampled to about _SAMPLE_SIDE pixels before counting.
_LARGE_SIDE = 300
_SAMPLE_SIDE = 150


@dataclass(frozen=True, slots=True)
class FeatureStats:
    """``values`` by field name: arrays of shape (n,) or (3, 1, 1); ``count``: (1,)."""

    values: Mapping[str, NDArray[Any]]

    @property
    def count(self) -> int:
        """Number of frames counted."""
        return int(self.values["count"][0])

    def to_json(self) -> dict[str, Any]:
        """Nested lists by field name."""
        return {name: self.values[name].tolist() for name in FIELDS if name in self.values}

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> FeatureStats:
        """Read nested lists; unknown fields are ignored."""
        return cls({name: np.asarray(entries[name]) for name in FIELDS if name in entries})


def vector_stats(values: NDArray[Any]) -> FeatureStats:
    """Statistics over the frames of numbers (N, n) or (N,) with N >= 1."""
    numbers = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    found: dict[str, NDArray[Any]] = {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(numbers)], dtype=np.int64),
    }
    levels = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    return FeatureStats(found | dict(zip(QUANTILES, levels, strict=True)))


def sample_count(frames: int) -> int:
    """Number of images to count in an episode of this length (LeRobot's rule)."""
    return min(frames, max(100, min(int(frames**0.75), 10_000)))


def sample_indices(frames: int) -> list[int]:
    """Frames of an episode to count: :func:`sample_count` of them at equal distances."""
    return np.linspace(0, frames - 1, sample_count(frames)).round().astype(int).tolist()


class ImageCounter:
    """Counts the grey levels of sampled RGB images for each channel."""

    def __init__(self) -> None:
        self._histogram = np.zeros((3, _LEVELS), dtype=np.int64)
        self._frames = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Count an image (H, W, 3); a large one is subsampled first."""
        side = max(image.shape[:2])
        step = side // _SAMPLE_SIDE if side > _LARGE_SIDE else 1
        thinned = np.ascontiguousarray(image[::step, ::step])
        # Pillow is ten times faster than np.bincount, which converts bytes to integers first.
        counts = Image.fromarray(thinned).histogram()
        self._histogram += np.array(counts, dtype=np.int64).reshape(3, _LEVELS)
        self._frames += 1

    def stats(self) -> FeatureStats | None:
        """Statistics of pixel / 255, shape (3, 1, 1); None before the first image."""
        if not self._frames:
            return None
        counts = self._histogram / self._histogram.sum(axis=1, keepdims=True)
        levels = np.arange(_LEVELS) / (_LEVELS - 1)
        mean = counts @ levels
        variance = np.maximum(counts @ levels**2 - mean**2, 0.0)
        present = self._histogram > 0
        found = {
            "min": levels[present.argmax(axis=1)],
            "max": levels[_LEVELS - 1 - present[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(variance),
        }
        cumulative = counts.cumsum(axis=1)
        for name, share in QUANTILES.items():
            found[name] = levels[(cumulative >= share - 1e-12).argmax(axis=1)]
        shaped: dict[str, NDArray[Any]] = {k: v.reshape(3, 1, 1) for k, v in found.items()}
        return FeatureStats(shaped | {"count": np.array([self._frames], dtype=np.int64)})


def combine(parts: Sequence[FeatureStats]) -> FeatureStats:
    """Statistics of all parts together; exact except for the quantiles, which are bounds."""
    counts = np.array([part.count for part in parts], dtype=np.float64)
    weights = (counts / counts.sum()).reshape(-1, *[1] * parts[0].values["mean"].ndim)
    means = np.stack([part.values["mean"] for part in parts])
    mean = (weights * means).sum(axis=0)
    variances = np.stack([part.values["std"] ** 2 for part in parts]) + (means - mean) ** 2
    found: dict[str, NDArray[Any]] = {
        "min": np.min([part.values["min"] for part in parts], axis=0),
        "max": np.max([part.values["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt((weights * variances).sum(axis=0)),
        "count": np.array([int(counts.sum())], dtype=np.int64),
    }
    for name, share in QUANTILES.items():
        known = [part.values[name] for part in parts if name in part.values]
        if len(known) == len(parts):
            found[name] = np.min(known, axis=0) if share <= 0.5 else np.max(known, axis=0)
    return FeatureStats(found)


def combine_episodes(
    episodes: Iterable[Mapping[str, FeatureStats]],
) -> dict[str, FeatureStats]:
    """:func:`combine` for every feature that all episodes have statistics of."""
    listed = list(episodes)
    shared = [name for name in listed[0] if all(name in each for each in listed)] if listed else []
    return {name: combine([each[name] for each in listed]) for name in shared}


def stats_to_json(stats: Mapping[str, FeatureStats]) -> dict[str, Any]:
    """The content of meta/stats.json."""
    return {name: each.to_json() for name, each in stats.items()}


def stats_from_json(entries: Mapping[str, Any]) -> dict[str, FeatureStats]:
    """Read meta/stats.json."""
    return {name: FeatureStats.from_json(each) for name, each in entries.items()}
