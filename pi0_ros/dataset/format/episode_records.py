"""meta/episodes: the location, tasks and statistics of each episode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.info import FileNumber
from pi0_ros.dataset.format.stats import FIELDS, FeatureStats


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpan:
    """Location of an episode in a camera's mp4 files [s in the file]."""

    number: FileNumber
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRecord:
    """One row of meta/episodes; it covers the dataset's frames ``start`` to ``stop - 1``."""

    index: int
    data: FileNumber
    start: int
    stop: int
    videos: Mapping[str, VideoSpan]
    tasks: tuple[str, ...]
    meta: FileNumber = field(default_factory=FileNumber)
    stats: Mapping[str, FeatureStats] = field(default_factory=dict, repr=False)

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.stop - self.start


def write_episodes(path: Path, records: Sequence[EpisodeRecord]) -> None:
    """Write the rows of episodes that have the same videos and statistics."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([_row(r) for r in records], _schema(records[0])), path)


def read_episodes(root: Path, video_keys: Iterable[str]) -> tuple[EpisodeRecord, ...]:
    """Read every episode of a dataset in order. Raises :class:`DatasetError`."""
    keys = tuple(video_keys)
    records: list[EpisodeRecord] = []
    for path in sorted((root / "meta" / "episodes").glob("chunk-*/file-*.parquet")):
        number = FileNumber(int(path.parent.name[6:]), int(path.stem[5:]))
        try:
            rows = pq.read_table(path).to_pylist()
            records += [_record(row, number, keys) for row in rows]
        except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
            raise DatasetError(f"{path}: cannot be read: {error!r}") from error
    return tuple(sorted(records, key=lambda record: record.index))


def _row(record: EpisodeRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
        "episode_index": record.index,
        "tasks": list(record.tasks),
        "length": record.length,
        "data/chunk_index": record.data.chunk,
        "data/file_index": record.data.file,
        "dataset_from_index": record.start,
        "dataset_to_index": record.stop,
    }
    for key, span in record.videos.items():
        row[f"videos/{key}/chunk_index"] = span.number.chunk
        row[f"videos/{key}/file_index"] = span.number.file
        row[f"videos/{key}/from_timestamp"] = span.from_s
        row[f"videos/{key}/to_timestamp"] = span.to_s
    for name, stats in record.stats.items():
        row |= {f"stats/{name}/{key}": value for key, value in stats.to_json().items()}
    row["meta/episodes/chunk_index"] = record.meta.chunk
    row["meta/episodes/file_index"] = record.meta.file
    return row


def _schema(record: EpisodeRecord) -> pa.Schema:
    integer, number = pa.int64(), pa.float64()
    columns: dict[str, pa.DataType] = {
        "episode_index": integer,
        "tasks": pa.list_(pa.string()),
        "length": integer,
        "data/chunk_index": integer,
        "data/file_index": integer,
        "dataset_from_index": integer,
        "dataset_to_index": integer,
    }
    for key in record.videos:
        columns |= {f"videos/{key}/{name}": integer for name in ("chunk_index", "file_index")}
        columns |= {f"videos/{key}/{name}": number for name in ("from_timestamp", "to_timestamp")}
    for name, stats in record.stats.items():
        for key, values in stats.values.items():
            kind: pa.DataType = integer if key == "count" else number
            for _ in range(values.ndim):
                kind = pa.list_(kind)
            columns[f"stats/{name}/{key}"] = kind
    columns |= {f"meta/episodes/{name}": integer for name in ("chunk_index", "file_index")}
    return pa.schema(list(columns.items()))


def _record(row: Mapping[str, Any], number: FileNumber, keys: tuple[str, ...]) -> EpisodeRecord:
    stats: dict[str, dict[str, Any]] = {}
    for column, value in row.items():
        if column.startswith("stats/") and value is not None:
            name, _, key = column.removeprefix("stats/").rpartition("/")
            if key in FIELDS:
                stats.setdefault(name, {})[key] = value
    return EpisodeRecord(
        index=row["episode_index"],
        data=FileNumber(row["data/chunk_index"], row["data/file_index"]),
        start=row["dataset_from_index"],
        stop=row["dataset_to_index"],
        videos={key: _span(row, key) for key in keys},
        tasks=tuple(row.get("tasks") or ()),
        meta=number,
        stats={name: FeatureStats.from_json(values) for name, values in stats.items()},
    )


def _span(row: Mapping[str, Any], key: str) -> VideoSpan:
    begin = float(row[f"videos/{key}/from_timestamp"])
    end = row.get(f"videos/{key}/to_timestamp")
    return VideoSpan(
        number=FileNumber(row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"]),
        from_s=begin,
        to_s=begin if end is None else float(end),
    )
