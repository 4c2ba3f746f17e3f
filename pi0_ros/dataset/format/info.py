"""meta/info.json, and the paths of a dataset's files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.features import Feature
from pi0_ros.stamps import NS_PER_S

VERSION = "v3.0"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
INFO_PATH = "meta/info.json"
STATS_PATH = "meta/stats.json"
TASKS_PATH = "meta/tasks.parquet"
MANIFEST_PATH = "meta/pi0_manifest.json"

_BYTES_PER_MB = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class FileNumber:
    """Number of a chunk folder and of a file in it; both count from 0."""

    chunk: int = 0
    file: int = 0

    def next(self, chunks_size: int) -> FileNumber:
        """The next file; a folder holds ``chunks_size`` files."""
        if self.file + 1 < chunks_size:
            return FileNumber(self.chunk, self.file + 1)
        return FileNumber(self.chunk + 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """The content of meta/info.json; one MB is 1024 * 1024 bytes."""

    fps: int
    features: Mapping[str, Feature]
    robot_type: str = ""
    total_episodes: int = 0
    total_frames: int = 0
    total_tasks: int = 0
    chunks_size: int = 1000
    data_files_size_in_mb: float = 100
    video_files_size_in_mb: float = 200
    data_path: str = DATA_PATH
    video_path: str | None = VIDEO_PATH
    splits: Mapping[str, str] = field(default_factory=dict)

    @property
    def video_keys(self) -> tuple[str, ...]:
        """Features whose frames are in mp4 files."""
        return tuple(name for name, feature in self.features.items() if feature.is_video)

    @property
    def image_keys(self) -> tuple[str, ...]:
        """Features whose frames are images in the parquet files."""
        return tuple(name for name, feature in self.features.items() if feature.is_image)

    @property
    def data_bytes(self) -> float:
        """Largest size of a data file [bytes]."""
        return self.data_files_size_in_mb * _BYTES_PER_MB

    @property
    def video_bytes(self) -> float:
        """Largest size of a video file [bytes]."""
        return self.video_files_size_in_mb * _BYTES_PER_MB

    def data_file(self, number: FileNumber) -> str:
        """Path of a data file relative to the root."""
        return self.data_path.format(chunk_index=number.chunk, file_index=number.file)

    def video_file(self, key: str, number: FileNumber) -> str:
        """Path of a video file relative to the root."""
        return (self.video_path or VIDEO_PATH).format(
            video_key=key, chunk_index=number.chunk, file_index=number.file
        )

    def to_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {
            "codebase_version": VERSION,
            "robot_type": self.robot_type or None,
            "total_episodes": self.total_episodes,
            "total_frames": self.total_frames,
            "total_tasks": self.total_tasks,
            "chunks_size": self.chunks_size,
            "data_files_size_in_mb": self.data_files_size_in_mb,
            "video_files_size_in_mb": self.video_files_size_in_mb,
            "fps": self.fps,
            "splits": {"train": f"0:{self.total_episodes}"},
            "data_path": self.data_path,
            "video_path": self.video_path if self.video_keys else None,
            "features": {name: feature.to_json() for name, feature in self.features.items()},
        }


def episodes_file(number: FileNumber) -> str:
    """Path of a file of episode records relative to the root."""
    return EPISODES_PATH.format(chunk_index=number.chunk, file_index=number.file)


def frame_offset_ns(frame: int, fps: int) -> int:
    """Time of a frame after frame 0 [ns]."""
    return (2 * frame * NS_PER_S + fps) // (2 * fps)


def read_info(root: Path) -> Info:
    """Read meta/info.json. Raises :class:`DatasetError` if it is missing or invalid."""
    path = root / INFO_PATH
    if not path.is_file():
        raise DatasetError(f"{root}: is not a dataset: it has no {INFO_PATH}")
    entries = read_json(path)
    version = str(entries.get("codebase_version"))
    if version.split(".")[0] != "v3":
        raise DatasetError(
            f"{path}: codebase_version is {version!r}, this suite reads {VERSION}; LeRobot"
            " converts older datasets (lerobot.datasets.v30.convert_dataset_v21_to_v30)"
        )
    try:
        fps = float(entries["fps"])
        if fps <= 0 or fps != int(fps):
            raise DatasetError(f"{path}: fps is {fps:g}; it must be a whole number above zero")
        features = {n: Feature.from_json(n, entry) for n, entry in entries["features"].items()}
        optional = {
            name: entries[name]
            for name in ("chunks_size", "data_files_size_in_mb", "video_files_size_in_mb")
            if entries.get(name)
        }
        return Info(
            fps=int(fps),
            features=features,
            robot_type=str(entries.get("robot_type") or ""),
            total_episodes=int(entries.get("total_episodes", 0)),
            total_frames=int(entries.get("total_frames", 0)),
            total_tasks=int(entries.get("total_tasks", 0)),
            data_path=entries.get("data_path") or DATA_PATH,
            video_path=entries.get("video_path") or VIDEO_PATH,
            splits=entries.get("splits") or {},
            **optional,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}: damaged: {error!r}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises :class:`DatasetError` if the file does not hold one."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not isinstance(entries, dict):
        raise DatasetError(f"{path}: is not a JSON object")
    return entries


def write_json(path: Path, entries: Mapping[str, Any]) -> None:
    """Write JSON atomically: a reader sees the old file or the complete new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, path)
