"""Writing of episodes into a new or existing dataset; an interruption does not damage it.

All files are written in a staging folder first. Complete files are then moved into the dataset:
data and videos, then the records that name them, then meta/info.json. Existing data and video files
never change: appended episodes begin new ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.episode_data import EpisodeData
from pi0_ros.dataset.format.episode_records import EpisodeRecord, VideoSpan, write_episodes
from pi0_ros.dataset.format.features import column_array, schema
from pi0_ros.dataset.format.info import (
    INFO_PATH,
    MANIFEST_PATH,
    STATS_PATH,
    TASKS_PATH,
    FileNumber,
    Info,
    episodes_file,
    write_json,
)
from pi0_ros.dataset.format.provenance import DatasetProvenance, EpisodeSource, write_provenance
from pi0_ros.dataset.format.stats import (
    FeatureStats,
    combine_episodes,
    stats_to_json,
    vector_stats,
)
from pi0_ros.dataset.format.tasks import write_tasks
from pi0_ros.dataset.video.clips import Clip, ClipJoiner, duration_s
from pi0_ros.recording.bag import sync_file, sync_folder

STAGING = ".staging"
#: Subfolder with the files that :class:`DatasetWriter` has not moved yet.
ASSEMBLY = "assembly"
#: Rows of a row group in files with images; reading one image loads one row group.
_ROWS_WITH_IMAGES = 64


class DatasetWriter:
    """Appends episodes to those of ``records`` and ``tasks``.

    ``info`` is the dataset's; the writer sets its totals. Call :meth:`add` for each episode, then
    :meth:`publish`. Before that, the dataset does not change.
    """

    def __init__(
        self,
        root: Path,
        info: Info,
        manifest: DatasetProvenance,
        *,
        records: tuple[EpisodeRecord, ...] = (),
        tasks: tuple[str, ...] = (),
    ) -> None:
        self._root, self._info, self._manifest = root, info, manifest
        self._folder = root / STAGING / ASSEMBLY
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._old, self._new = records, list[EpisodeRecord]()
        self._sources: list[EpisodeSource] = []
        self._tasks = {text: index for index, text in enumerate(tasks)}
        self._schema = schema(info.features)
        self._frames = records[-1].stop if records else 0
        size = info.chunks_size
        self._meta = _after((r.meta for r in records), size)
        self._data = _DataFiles(self._folder, info, _after((r.data for r in records), size))
        self._videos = {
            key: _VideoFiles(
                self._folder, info, key, _after((r.videos[key].number for r in records), size)
            )
            for key in info.video_keys
        }

    def add(self, episode: EpisodeData) -> None:
        """Write an episode. Raises :class:`DatasetError` if it does not fit the features."""
        table = self._columns(episode)
        record = EpisodeRecord(
            index=len(self._old) + len(self._new),
            data=self._data.append(table),
            start=self._frames,
            stop=self._frames + episode.length,
            videos={key: files.append(episode.clips[key]) for key, files in self._videos.items()},
            tasks=tuple(dict.fromkeys(episode.tasks.values())),
            meta=self._meta,
            stats=self._number_stats(table) | dict(episode.stats),
        )
        self._new.append(record)
        self._sources.append(episode.source)
        self._frames = record.stop

    def publish(self) -> Info:
        """Move the files into the dataset and return its new info."""
        if not self._new:
            raise DatasetError(f"{self._root}: no episode to write")
        self._data.close()
        for files in self._videos.values():
            files.close()
        write_episodes(self._folder / episodes_file(self._meta), self._new)
        records = (*self._old, *self._new)
        info = replace(
            self._info,
            total_episodes=len(records),
            total_frames=self._frames,
            total_tasks=len(self._tasks),
        )
        write_tasks(self._folder / TASKS_PATH, self._tasks)
        manifest = replace(self._manifest, episodes=(*self._manifest.episodes, *self._sources))
        write_provenance(self._folder, manifest)
        write_json(self._folder / INFO_PATH, info.to_json())
        write_json(self._folder / STATS_PATH, stats_to_json(self._statistics(records)))
        self._move_in()
        return info

    def _columns(self, episode: EpisodeData) -> pa.Table:
        """The episode's rows with the indices of this dataset."""
        table, count = episode.table(), episode.length
        for text in episode.tasks.values():
            self._tasks.setdefault(text, len(self._tasks))
        here = {old: self._tasks[text] for old, text in episode.tasks.items()}
        try:
            tasks = [here[index] for index in table["task_index"].to_pylist()]
        except KeyError as error:
            raise DatasetError(f"{episode.parquet}: task_index {error} has no task") from error
        frames = np.arange(count, dtype=np.int64)
        own = {
            "timestamp": (frames / self._info.fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(count, len(self._old) + len(self._new), dtype=np.int64),
            "index": frames + self._frames,
            "task_index": np.array(tasks, dtype=np.int64),
        }
        missing = [n for n in self._schema.names if n not in own and n not in table.column_names]
        missing += [key for key in self._videos if key not in episode.clips]
        if missing:
            raise DatasetError(f"{episode.parquet}: the episode has no {', '.join(missing)}")
        columns = [pa.array(own[n]) if n in own else table[n] for n in self._schema.names]
        try:
            return pa.table(columns, names=self._schema.names).cast(self._schema)
        except (pa.ArrowException, ValueError) as error:
            raise DatasetError(f"{episode.parquet}: does not fit the features: {error}") from error

    def _number_stats(self, table: pa.Table) -> dict[str, FeatureStats]:
        return {
            name: vector_stats(column_array(table[name]))
            for name, feature in self._info.features.items()
            if feature.is_numeric
        }

    def _statistics(self, records: tuple[EpisodeRecord, ...]) -> dict[str, FeatureStats]:
        """Statistics of the whole dataset: exact for vectors, combined from episodes for images."""
        found = combine_episodes([record.stats for record in records])
        names = [n for n, f in self._info.features.items() if f.is_numeric and n not in _COUNTERS]
        files = dict.fromkeys(self._info.data_file(record.data) for record in records)
        # An interrupted publication may have left a file with the same name in the root.
        paths = [p if (p := self._folder / file).is_file() else self._root / file for file in files]
        tables = [pq.read_table(path, columns=names) for path in paths]
        for name in names:
            found[name] = vector_stats(np.concatenate([column_array(t[name]) for t in tables]))
        return {name: found[name] for name in self._info.features if name in found}

    def _move_in(self) -> None:
        """Move data and videos, then records, then info; sync each file before the next one."""
        last = [self._folder / path for path in (TASKS_PATH, STATS_PATH, MANIFEST_PATH, INFO_PATH)]
        meta = self._folder / "meta"
        files = [path for path in sorted(self._folder.rglob("*")) if path.is_file()]
        first = [path for path in files if meta not in path.parents]
        records = [path for path in files if meta in path.parents and path not in last]
        for path in (*first, *records, *last):
            target = self._root / path.relative_to(self._folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_file(path)
            os.replace(path, target)
            sync_folder(target.parent)
        shutil.rmtree(self._folder)


#: Indices need no exact statistics.
_COUNTERS = ("frame_index", "episode_index", "index", "task_index")


class _DataFiles:
    """Parquet files with one row group per episode, each within the size limit."""

    def __init__(self, folder: Path, info: Info, first: FileNumber) -> None:
        self._folder, self._info, self._number = folder, info, first
        self._rows = _ROWS_WITH_IMAGES if info.image_keys else None
        self._writer: pq.ParquetWriter | None = None
        self._path = folder

    def append(self, table: pa.Table) -> FileNumber:
        if self._writer is not None and (
            self._path.stat().st_size + table.nbytes >= self._info.data_bytes
        ):
            self.close()
            self._number = self._number.next(self._info.chunks_size)
        if self._writer is None:
            self._path = self._folder / self._info.data_file(self._number)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="snappy")
        self._writer.write_table(table, row_group_size=self._rows or max(1, table.num_rows))
        return self._number

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _VideoFiles:
    """The mp4 files of one camera, with many episodes each, within the size limit."""

    def __init__(self, folder: Path, info: Info, key: str, first: FileNumber) -> None:
        self._folder, self._info, self._key, self._number = folder, info, key, first
        self._joiner: ClipJoiner | None = None

    def append(self, clip: Clip) -> VideoSpan:
        if self._joiner is not None and (
            self._joiner.bytes + self._estimate(clip) >= self._info.video_bytes
        ):
            self.close()
            self._number = self._number.next(self._info.chunks_size)
        if self._joiner is None:
            path = self._folder / self._info.video_file(self._key, self._number)
            self._joiner = ClipJoiner(path, self._info.fps)
        from_s, to_s = self._joiner.append(clip)
        return VideoSpan(number=self._number, from_s=from_s, to_s=to_s)

    def close(self) -> None:
        if self._joiner is not None:
            self._joiner.close()
            self._joiner = None

    def _estimate(self, clip: Clip) -> float:
        """Estimated size of a clip [bytes]: its share of its file."""
        whole_s = duration_s(clip.path)
        share = (clip.to_s - clip.from_s) / whole_s if whole_s else 1.0
        return clip.path.stat().st_size * min(1.0, share)


def _after(numbers: Iterable[FileNumber], chunks_size: int) -> FileNumber:
    used = list(numbers)
    return max(used).next(chunks_size) if used else FileNumber()
