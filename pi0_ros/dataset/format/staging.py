"""Staged episodes: converted, one folder each, not yet in the dataset.

A folder is complete when it has ``part.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pi0_ros.dataset.format.episode_data import EpisodeData
from pi0_ros.dataset.format.features import Feature
from pi0_ros.dataset.format.info import read_json, write_json
from pi0_ros.dataset.format.provenance import EpisodeSource
from pi0_ros.dataset.format.stats import FeatureStats, stats_from_json, stats_to_json
from pi0_ros.dataset.video.clips import Clip

_DESCRIPTION = "part.json"
_DATA = "data.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedEpisode:
    """A staged episode and its features."""

    data: EpisodeData
    features: Mapping[str, Feature]


def video_path(folder: Path, key: str) -> Path:
    """Path of a video of a staged episode."""
    return folder / f"{key}.mp4"


def stage(
    folder: Path,
    *,
    table: pa.Table,
    fps: int,
    tasks: tuple[str, ...],
    features: Mapping[str, Feature],
    stats: Mapping[str, FeatureStats],
    source: EpisodeSource,
) -> None:
    """Write the table and then the description; the videos are already in the folder."""
    pq.write_table(table, folder / _DATA, compression="none")
    entries = {
        "frames": table.num_rows,
        "fps": fps,
        "tasks": list(tasks),
        "features": {name: feature.to_json() for name, feature in features.items()},
        "stats": stats_to_json(stats),
        "source": asdict(source),
    }
    write_json(folder / _DESCRIPTION, entries)


def is_staged(folder: Path) -> bool:
    """Whether a folder holds a complete episode."""
    return (folder / _DESCRIPTION).is_file()


def load_staged(folder: Path) -> StagedEpisode:
    """Read the episode in a folder."""
    entries: dict[str, Any] = read_json(folder / _DESCRIPTION)
    features = {n: Feature.from_json(n, entry) for n, entry in entries["features"].items()}
    duration_s = entries["frames"] / entries["fps"]
    clips = {
        name: Clip(path=video_path(folder, name), from_s=0.0, to_s=duration_s)
        for name, feature in features.items()
        if feature.is_video
    }
    data = EpisodeData(
        parquet=folder / _DATA,
        episode=0,
        length=entries["frames"],
        tasks=dict(enumerate(entries["tasks"])),
        clips=clips,
        stats=stats_from_json(entries["stats"]),
        source=EpisodeSource.from_json(entries["source"]),
    )
    return StagedEpisode(data=data, features=features)
