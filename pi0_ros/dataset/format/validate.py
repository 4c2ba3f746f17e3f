"""Validation of a dataset: one sentence for each problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.features import AUTOMATIC, column_array, schema
from pi0_ros.dataset.format.info import TASKS_PATH
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.dataset.video.clips import TOLERANCE_S, frame_times

#: Largest number of problems listed for each check; one broken file can have thousands.
_LISTED = 5


def validate(root: Path) -> tuple[str, ...]:
    """Problems of a dataset; empty if LeRobot and this suite can read it."""
    try:
        dataset = Dataset.open(root)
    except DatasetError as error:
        return (str(error),)
    found: list[str] = []
    for check in (_totals, _tasks, _files, _rows, _videos, _statistics, _manifest):
        try:
            problems = list(check(dataset))
        except (DatasetError, OSError, pa.ArrowException, av.FFmpegError) as error:
            problems = [str(error)]
        found += problems[:_LISTED]
        if len(problems) > _LISTED:
            found.append(f"and {len(problems) - _LISTED} more of this kind")
    dataset.close()
    return tuple(found)


def _totals(dataset: Dataset) -> Iterator[str]:
    info = dataset.info
    for name, said, counted in (
        ("total_episodes", info.total_episodes, len(dataset.records)),
        ("total_frames", info.total_frames, len(dataset)),
        ("total_tasks", info.total_tasks, len(dataset.tasks)),
    ):
        if said != counted:
            yield f"meta/info.json: {name} is {said}, there are {counted}"
    start = 0
    for index, record in enumerate(dataset.records):
        if record.index != index or record.start != start or record.stop <= record.start:
            yield (
                f"meta/episodes: row {index} is episode {record.index} with frames {record.start}"
                f" to {record.stop}; episode {index} from frame {start} expected"
            )
        start = record.stop
    for feature in AUTOMATIC:
        found = info.features.get(feature.name)
        if found is None or (found.dtype, found.shape) != (feature.dtype, feature.shape):
            yield f"meta/info.json: feature {feature.name} must be {feature.dtype} of shape (1,)"


def _tasks(dataset: Dataset) -> Iterator[str]:
    metadata = pq.read_schema(dataset.root / TASKS_PATH).metadata or {}
    pandas = json.loads(metadata.get(b"pandas", b"{}"))
    if not pandas.get("index_columns"):
        yield f"{TASKS_PATH}: pandas would not read the task as index; LeRobot looks it up there"
    if len(set(dataset.tasks)) != len(dataset.tasks):
        yield f"{TASKS_PATH}: a task occurs twice"


def _files(dataset: Dataset) -> Iterator[str]:
    for path in dataset.unlisted_files():
        yield f"{path.relative_to(dataset.root)}: belongs to no episode"
    wanted = schema(dataset.info.features)
    for file in dict.fromkeys(dataset.info.data_file(r.data) for r in dataset.records):
        if not (dataset.root / file).is_file():
            yield f"{file}: missing"
            continue
        found = pq.read_schema(dataset.root / file)
        if extra := sorted(set(found.names) - set(wanted.names)):
            yield f"{file}: column {', '.join(extra)} is not a feature; LeRobot refuses the file"
        if missing := sorted(set(wanted.names) - set(found.names)):
            yield f"{file}: no column {', '.join(missing)}"


def _rows(dataset: Dataset) -> Iterator[str]:
    for record in dataset.records:
        file = dataset.info.data_file(record.data)
        names = [name for name, feature in dataset.info.features.items() if feature.is_numeric]
        table = pq.read_table(
            dataset.root / file,
            columns=names,
            filters=[("episode_index", "=", record.index)],
        )
        if table.num_rows != record.length:
            yield f"{file}: {table.num_rows} rows of episode {record.index}, not {record.length}"
            continue
        frames = np.arange(record.length)
        expected = {
            "frame_index": frames,
            "index": frames + record.start,
            "timestamp": frames / dataset.fps,
        }
        for name, numbers in expected.items():
            if np.abs(column_array(table[name]) - numbers).max() > TOLERANCE_S:
                yield f"{file}: {name} of episode {record.index} does not count its frames"
        indices = set(column_array(table["task_index"]).tolist())
        if unknown := sorted(index for index in indices if not 0 <= index < len(dataset.tasks)):
            yield f"{file}: episode {record.index} has an unknown task_index {unknown[0]}"
        elif record.tasks and {dataset.tasks[i] for i in indices} != set(record.tasks):
            yield (
                f"{file}: episode {record.index} does {sorted(dataset.tasks[i] for i in indices)},"
                f" its record says {sorted(record.tasks)}"
            )
        for name in names:
            numbers = column_array(table[name])
            if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
                yield f"{file}: {name} of episode {record.index} has non-finite values"


def _videos(dataset: Dataset) -> Iterator[str]:
    for key in dataset.info.video_keys:
        times: dict[str, np.ndarray] = {}
        size = dataset.info.features[key].size
        for record in dataset.records:
            span = record.videos[key]
            file = dataset.info.video_file(key, span.number)
            if file not in times:
                times[file] = frame_times(dataset.root / file)
            wanted = span.from_s + np.arange(record.length) / dataset.fps
            places = np.searchsorted(times[file], wanted - TOLERANCE_S)
            inside = np.append(times[file], np.inf)[places]
            if (np.abs(inside - wanted) > TOLERANCE_S).any():
                yield f"{file}: lacks frames of episode {record.index}"
                continue
            for frame in dict.fromkeys((0, record.length - 1)):
                found = dataset.image(key, record.index, frame).shape[:2]
                if found != size:
                    yield f"{file}: frames are {found[1]}x{found[0]}, not {size[1]}x{size[0]}"
                    break


def _statistics(dataset: Dataset) -> Iterator[str]:
    if not dataset.stats:
        yield "meta/stats.json: missing; `pi0 dataset stats` writes it"
        return
    for name, feature in dataset.info.features.items():
        stats = dataset.stats.get(name)
        if stats is None:
            if feature.is_numeric or feature.is_video:
                yield f"meta/stats.json: nothing about {name}"
            continue
        wanted = feature.shape if feature.is_numeric else (3, 1, 1)
        for field, values in stats.values.items():
            if field != "count" and values.shape != wanted:
                yield f"meta/stats.json: {field} of {name} has shape {values.shape}, not {wanted}"


def _manifest(dataset: Dataset) -> Iterator[str]:
    if dataset.manifest is None:
        return
    episodes = len(dataset.manifest.episodes)
    if episodes != len(dataset.records):
        yield f"meta/pi0_manifest.json: {episodes} episodes, not {len(dataset.records)}"
    if dataset.manifest.embodiment_yaml:
        robot = dataset.robot()
        for name, labels in (
            ("observation.state", robot.state_names),
            ("action", robot.action_names),
        ):
            feature = dataset.info.features.get(name)
            if feature is not None and feature.labels != labels:
                yield f"meta/info.json: names of {name} are not the embodiment's"
