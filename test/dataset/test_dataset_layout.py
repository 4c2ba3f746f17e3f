"""The files are LeRobot v3.0, column by column, and read back frame by frame."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic import START_NS, SyntheticEpisode, action_at

from pi0_ros.dataset import Dataset, DatasetError
from pi0_ros.dataset.format.info import frame_offset_ns
from pi0_ros.dataset.format.validate import validate
from pi0_ros.dataset.video.clips import frame_times

CAMERAS = ("observation.images.base_camera", "observation.images.wrist_camera")


def test_the_files_are_those_of_the_format_and_no_others(made: Path) -> None:
    root = made / "set"
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert files == {
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
        "meta/pi0_manifest.json",
        "meta/episodes/chunk-000/file-000.parquet",
        "data/chunk-000/file-000.parquet",
        *(f"videos/{key}/chunk-000/file-000.mp4" for key in CAMERAS),
    }


def test_the_columns_are_exactly_the_features_that_are_no_video(made: Path) -> None:
    schema = pq.read_schema(made / "set" / "data/chunk-000/file-000.parquet")
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "observation.state": pa.list_(pa.float32(), 7),
        "action": pa.list_(pa.float32(), 7),
        "timestamp": pa.float32(),
        "frame_index": pa.int64(),
        "episode_index": pa.int64(),
        "index": pa.int64(),
        "task_index": pa.int64(),
    }


def test_info_names_version_rate_totals_and_features(made: Path) -> None:
    info = json.loads((made / "set/meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["robot_type"]) == (20, "ur5e")
    assert (info["total_episodes"], info["total_tasks"]) == (3, 3)
    assert info["splits"] == {"train": "0:3"}
    assert info["features"]["action"]["names"][-1] == "gripper"
    video = info["features"][CAMERAS[0]]
    assert (video["dtype"], video["shape"]) == ("video", [64, 64, 3])
    assert video["info"]["video.codec"] == "av1" and video["info"]["video.g"] == 2


def test_tasks_are_pandas_index(made: Path) -> None:
    schema = pq.read_schema(made / "set/meta/tasks.parquet")
    pandas = json.loads(schema.metadata[b"pandas"])
    assert pandas["index_columns"] == ["task"]
    assert Dataset.open(made / "set").tasks == ("stack the cups", "put them away", "wipe the table")


def test_episode_records_have_every_column_of_the_format(made: Path) -> None:
    table = pq.read_table(made / "set/meta/episodes/chunk-000/file-000.parquet")
    names = set(table.column_names)
    assert {
        *("episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index"),
        *("data/chunk_index", "data/file_index"),
        *("meta/episodes/chunk_index", "meta/episodes/file_index"),
    } <= names
    for key in CAMERAS:
        fields = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        assert {f"videos/{key}/{field}" for field in fields} <= names
        assert table.schema.field(f"videos/{key}/from_timestamp").type == pa.float64()
    for name in ("action", "timestamp", CAMERAS[0]):
        fields = ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99")
        assert {f"stats/{name}/{field}" for field in fields} <= names
    assert np.shape(table[f"stats/{CAMERAS[0]}/mean"][0].as_py()) == (3, 1, 1)


def test_every_frame_is_in_the_video_at_its_time(made: Path) -> None:
    dataset = Dataset.open(made / "set")
    for key in CAMERAS:
        times = frame_times(made / "set" / f"videos/{key}/chunk-000/file-000.mp4")
        wanted = np.concatenate(
            [
                record.videos[key].from_s + np.arange(record.length) / dataset.fps
                for record in dataset.records
            ]
        )
        assert np.abs(times - wanted).max() < 1e-4
    spans = [record.videos[CAMERAS[0]] for record in dataset.records]
    assert [span.to_s for span in spans[:-1]] == [span.from_s for span in spans[1:]]


def test_frames_come_in_any_order_the_same(made: Path) -> None:
    forward = Dataset.open(made / "set")
    frames = [forward.frame(index).images for index in range(len(forward))]
    other = Dataset.open(made / "set")
    for index in np.random.default_rng(0).permutation(len(forward)):
        for key, image in other.frame(int(index)).images.items():
            np.testing.assert_array_equal(image, frames[index][key])


def test_an_action_is_the_command_in_force_at_its_frame(made: Path) -> None:
    dataset = Dataset.open(made / "set")
    take = SyntheticEpisode(duration_s=0.75, seed=3)
    start_ns = dataset.source(1).start_ns
    control_ns = 1e9 / take.robot.rates.control_hz
    for frame, action in enumerate(dataset.episode(1).action):
        time_ns = start_ns + frame_offset_ns(frame, dataset.fps) - START_NS - 3_000_000
        commanded_ns = 3_000_000 + np.floor(time_ns / control_ns) * control_ns
        np.testing.assert_allclose(action, action_at(take, commanded_ns / 1e9), atol=1e-5)


def test_a_frame_does_what_was_asked_at_its_time(made: Path) -> None:
    dataset = Dataset.open(made / "set")
    episode = dataset.episode(0)
    (_, first), (change, then) = episode.marks
    assert (first, then) == ("stack the cups", "put them away")
    assert 0 < change < len(episode)
    assert dataset.frame(change - 1).task == first and dataset.frame(change).task == then
    assert dataset.source(0).task == "stack the cups"


def test_a_chunk_beyond_the_end_repeats_the_last_action_and_says_so(made: Path) -> None:
    dataset = Dataset.open(made / "set")
    last = dataset.records[0].stop - 1
    chunk, pad = dataset.actions(last - 1, 4)
    assert pad.tolist() == [False, False, True, True]
    np.testing.assert_array_equal(chunk[2], dataset.frame(last).action)


def test_statistics_are_those_of_the_numbers(made: Path) -> None:
    dataset = Dataset.open(made / "set")
    actions = np.concatenate([dataset.episode(i).action for i in range(3)])
    stats = dataset.stats["action"].values
    np.testing.assert_allclose(stats["mean"], actions.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(stats["q99"], np.quantile(actions, 0.99, axis=0), rtol=1e-6)
    assert dataset.stats[CAMERAS[0]].values["mean"].shape == (3, 1, 1)
    assert 0.1 < dataset.stats[CAMERAS[0]].values["mean"].mean() < 0.6


def test_a_whole_dataset_has_no_problems(made: Path) -> None:
    assert validate(made / "set") == ()


def test_an_older_dataset_is_refused_by_its_version(dataset: Path) -> None:
    path = dataset / "meta/info.json"
    path.write_text(path.read_text().replace('"v3.0"', '"v2.1"'))
    with pytest.raises(DatasetError, match=r"codebase_version is 'v2\.1'"):
        Dataset.open(dataset)


def test_a_folder_that_is_no_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a dataset"):
        Dataset.open(tmp_path)
