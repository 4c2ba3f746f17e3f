"""Reading of a dataset with random access to frames."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.episode import Episode, Frame
from pi0_ros.dataset.format.episode_data import EpisodeData
from pi0_ros.dataset.format.episode_records import EpisodeRecord, read_episodes
from pi0_ros.dataset.format.features import ACTION, column_array
from pi0_ros.dataset.format.info import (
    STATS_PATH,
    TASKS_PATH,
    Info,
    episodes_file,
    read_info,
    read_json,
)
from pi0_ros.dataset.format.provenance import DatasetProvenance, EpisodeSource, read_provenance
from pi0_ros.dataset.format.stats import FeatureStats, stats_from_json, vector_stats
from pi0_ros.dataset.format.tasks import read_tasks
from pi0_ros.dataset.video.clips import Clip, VideoReader
from pi0_ros.embodiment import Embodiment

#: Largest number of open mp4 files, and of cached row groups with images for each camera.
_FILES_KEPT = 24
_GROUPS_KEPT = 4


class Dataset:
    """A LeRobot v3.0 dataset on disk. Not thread-safe: open one in each thread or worker.

    Numbers are read once per file and cached. Images are decoded on request.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.info: Info = read_info(root)
        self.tasks = read_tasks(root / TASKS_PATH)
        # Records beyond the total belong to an interrupted publication.
        total = self.info.total_episodes
        self.records = read_episodes(root, self.info.video_keys)[:total]
        manifest = read_provenance(root)
        self.manifest = manifest and replace(manifest, episodes=manifest.episodes[:total])
        self._starts = np.array([record.start for record in self.records], dtype=np.int64)
        self._tables: dict[Path, dict[str, NDArray[Any]]] = {}
        self._videos: dict[Path, VideoReader] = {}
        self._groups: dict[tuple[Path, int, str], list[bytes]] = {}

    @classmethod
    def open(cls, root: str | Path) -> Dataset:
        """Open a dataset by its folder. Raises :class:`DatasetError`."""
        return cls(Path(root).expanduser())

    def __len__(self) -> int:
        return self.records[-1].stop if self.records else 0

    @property
    def fps(self) -> int:
        """Frames per second."""
        return self.info.fps

    @property
    def cameras(self) -> tuple[str, ...]:
        """Features with images, in videos or in parquet files."""
        return (*self.info.video_keys, *self.info.image_keys)

    @cached_property
    def stats(self) -> Mapping[str, FeatureStats]:
        """Statistics by feature name; empty if the dataset has none."""
        path = self.root / STATS_PATH
        return stats_from_json(read_json(path)) if path.is_file() else {}

    def robot(self) -> Embodiment:
        """The embodiment of the robot. Raises :class:`DatasetError` if the manifest has none."""
        return (self.manifest or DatasetProvenance()).robot(str(self.root))

    def source(self, episode: int) -> EpisodeSource:
        """The source of an episode; fields are empty if the dataset does not state them."""
        known = self.manifest.episodes if self.manifest else ()
        return known[episode] if episode < len(known) else EpisodeSource()

    def episode(self, index: int) -> Episode:
        """All numbers of an episode. Raises :class:`DatasetError` for an unknown one."""
        record = self.record(index)
        numbers = self._numbers(record)
        return Episode(
            record=record,
            source=self.source(index),
            values={n: numbers[n] for n in numbers if n not in _COUNTERS},
            task_index=numbers["task_index"],
            tasks=self.tasks,
        )

    def record(self, index: int) -> EpisodeRecord:
        """The record of an episode. Raises :class:`DatasetError` for an unknown one."""
        if not 0 <= index < len(self.records):
            raise DatasetError(
                f"{self.root}: no episode {index}; it has {len(self.records)}, counted from 0"
            )
        return self.records[index]

    def episode_at(self, index: int) -> tuple[EpisodeRecord, int]:
        """The episode of a dataset frame, and the frame's index in that episode."""
        if not 0 <= index < len(self):
            raise DatasetError(f"{self.root}: no frame {index}; it has {len(self)}")
        record = self.records[int(np.searchsorted(self._starts, index, side="right")) - 1]
        return record, index - record.start

    def frame(self, index: int) -> Frame:
        """A frame with its images. Raises :class:`DatasetError` for an unknown one."""
        record, frame = self.episode_at(index)
        numbers = self._numbers(record)
        return Frame(
            index=index,
            episode=record.index,
            frame=frame,
            timestamp_s=float(numbers["timestamp"][frame]),
            task=self.tasks[int(numbers["task_index"][frame])],
            images={key: self.image(key, record.index, frame) for key in self.cameras},
            values={n: numbers[n][frame] for n in numbers if n not in _COUNTERS},
        )

    def actions(self, index: int, horizon: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The chunk (horizon, A) that begins at a frame, and its padding mask (horizon,).

        After the end of the episode the last action is repeated, as in LeRobot.
        """
        record, frame = self.episode_at(index)
        steps = frame + np.arange(horizon)
        pad = steps >= record.length
        actions = self._numbers(record)[ACTION]
        return actions[np.minimum(steps, record.length - 1)], pad

    def image(self, key: str, episode: int, frame: int) -> NDArray[Any]:
        """Pixels of one camera's frame. Raises :class:`DatasetError` if the frame is missing."""
        record = self.record(episode)
        if key in self.info.video_keys:
            span = record.videos[key]
            path = self.root / self.info.video_file(key, span.number)
            return self._video(path).frame(span.from_s + frame / self.fps)
        return decode_image(self._image_bytes(key, record, frame))

    def episode_data(self, episode: int) -> EpisodeData:
        """An episode in the form for writing it into another dataset."""
        record = self.record(episode)
        indices = dict.fromkeys(self._numbers(record)["task_index"].tolist())
        clips = {
            key: Clip(
                path=self.root / self.info.video_file(key, span.number),
                from_s=span.from_s,
                to_s=span.from_s + record.length / self.fps,
            )
            for key, span in record.videos.items()
        }
        return EpisodeData(
            parquet=self.root / self.info.data_file(record.data),
            episode=record.index,
            length=record.length,
            tasks={index: self.tasks[index] for index in indices},
            clips=clips,
            stats={key: s for key, s in record.stats.items() if key in self.cameras},
            source=self.source(episode),
        )

    def check_not_empty(self) -> None:
        """Raise :class:`DatasetError` if there is no episode."""
        if not self.records:
            raise DatasetError(f"{self.root}: has no episode; convert a bag into it first")

    def number_stats(self) -> dict[str, FeatureStats]:
        """Exact statistics of each numeric feature over all frames.

        Raises :class:`DatasetError` if the dataset is empty.
        """
        self.check_not_empty()
        for record in self.records:
            self._numbers(record)
        files = dict.fromkeys(self.info.data_file(record.data) for record in self.records)
        tables = [self._tables[self.root / file] for file in files]
        return {
            name: vector_stats(np.concatenate([table[name] for table in tables]))
            for name, feature in self.info.features.items()
            if feature.is_numeric
        }

    def unlisted_files(self) -> tuple[Path, ...]:
        """Data, video and record files that no episode uses; an interrupted run left them."""
        info = self.info
        listed = {info.data_file(record.data) for record in self.records}
        listed |= {episodes_file(record.meta) for record in self.records}
        for record in self.records:
            listed |= {info.video_file(key, span.number) for key, span in record.videos.items()}
        paths = (
            path
            for folder in ("data", "videos", "meta/episodes")
            for path in sorted((self.root / folder).rglob("*"))
        )
        return tuple(
            path
            for path in paths
            if path.is_file() and path.relative_to(self.root).as_posix() not in listed
        )

    def remove_unlisted_files(self) -> None:
        """Delete the :meth:`unlisted_files`."""
        for path in self.unlisted_files():
            path.unlink()

    def close(self) -> None:
        """Close the video files."""
        for video in self._videos.values():
            video.close()
        self._videos.clear()

    def _numbers(self, record: EpisodeRecord) -> dict[str, NDArray[Any]]:
        """Numeric columns of an episode, as views of the columns of its file."""
        path = self.root / self.info.data_file(record.data)
        if path not in self._tables:
            self._tables[path] = self._read(path)
        columns = self._tables[path]
        first = int(np.searchsorted(columns["index"], record.start))
        rows = slice(first, first + record.length)
        found = {name: values[rows] for name, values in columns.items()}
        if len(found["index"]) != record.length or found["index"][-1] != record.stop - 1:
            raise DatasetError(
                f"{path}: does not hold frames {record.start} to {record.stop - 1} of episode"
                f" {record.index}; `pi0 dataset validate {self.root}` lists what is wrong"
            )
        return found

    def _read(self, path: Path) -> dict[str, NDArray[Any]]:
        names = [n for n, f in self.info.features.items() if f.is_numeric]
        try:
            table = pq.read_table(path, columns=names)
            return {name: column_array(table[name]) for name in names}
        except (OSError, KeyError, pa.ArrowException) as error:
            raise DatasetError(f"{path}: cannot be read: {error}") from error

    def _video(self, path: Path) -> VideoReader:
        video = self._videos.pop(path, None) or VideoReader(path)
        self._videos[path] = video  # the most recently used is last
        if len(self._videos) > _FILES_KEPT:
            self._videos.pop(next(iter(self._videos))).close()
        return video

    def _image_bytes(self, key: str, record: EpisodeRecord, frame: int) -> bytes:
        path = self.root / self.info.data_file(record.data)
        self._numbers(record)  # reads the table
        row = frame + record.start - int(self._tables[path]["index"][0])
        with pq.ParquetFile(path) as file:
            group = 0
            while row >= (rows := file.metadata.row_group(group).num_rows):
                row, group = row - rows, group + 1
            if (path, group, key) not in self._groups:
                column = file.read_row_group(group, columns=[key])[key]
                if len(self._groups) >= _GROUPS_KEPT * len(self.cameras):
                    self._groups.pop(next(iter(self._groups)))
                self._groups[path, group, key] = [each["bytes"] for each in column.to_pylist()]
        return self._groups[path, group, key][row]


#: Columns that locate a frame.
_COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def decode_image(data: bytes | None) -> NDArray[Any]:
    """Decode an image to RGB uint8 (H, W, 3) or 16-bit depth uint16 (H, W)."""
    if data is None:
        raise DatasetError("an image has no bytes, only the name of a missing file")
    try:
        image = Image.open(io.BytesIO(data))
        if image.mode.startswith("I"):
            return np.asarray(image).astype(np.uint16)
        return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"an image of {len(data)} bytes cannot be decoded: {error}") from error
