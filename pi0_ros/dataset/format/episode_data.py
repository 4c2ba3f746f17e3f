"""One episode to write into a dataset, from a bag or from another dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.provenance import EpisodeSource
from pi0_ros.dataset.format.stats import FeatureStats
from pi0_ros.dataset.video.clips import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeData:
    """An episode: rows of a parquet file and one clip for each camera.

    ``episode``: its episode_index in that file; ``tasks``: texts by task_index in that file.
    """

    parquet: Path
    episode: int
    length: int
    tasks: Mapping[int, str]
    clips: Mapping[str, Clip] = field(default_factory=dict)
    stats: Mapping[str, FeatureStats] = field(default_factory=dict)
    source: EpisodeSource = field(default_factory=EpisodeSource)

    def table(self) -> pa.Table:
        """Its rows in frame order. Raises :class:`DatasetError` if rows are missing."""
        try:
            table = pq.read_table(self.parquet, filters=[("episode_index", "=", self.episode)])
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.parquet}: cannot be read: {error}") from error
        if table.num_rows != self.length:
            raise DatasetError(
                f"{self.parquet}: {table.num_rows} rows of episode {self.episode},"
                f" {self.length} expected"
            )
        return table
