"""Merge, split and delete keep the numbers, images and task of each frame."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pi0_ros.dataset import Dataset, DatasetError
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.edit import delete, merge, recompute, split
from pi0_ros.dataset.format.info import read_info, write_json
from pi0_ros.dataset.format.validate import validate
from pi0_ros.dataset.lock import dataset_lock


def assert_same_episode(one: Dataset, i: int, other: Dataset, k: int) -> None:
    ours, theirs = one.episode(i), other.episode(k)
    np.testing.assert_array_equal(ours.action, theirs.action)
    np.testing.assert_array_equal(ours.state, theirs.state)
    assert ours.marks == theirs.marks
    assert one.source(i) == other.source(k)
    for key in one.cameras:
        for frame in range(len(ours)):
            np.testing.assert_array_equal(one.image(key, i, frame), other.image(key, k, frame))


def test_merging_renumbers_the_tasks(dataset: Path, tmp_path: Path) -> None:
    parts = split(dataset, {tmp_path / "one": [1], tmp_path / "two": [2, 0]})
    assert [info.total_episodes for info in parts.values()] == [1, 2]
    merge([tmp_path / "one", tmp_path / "two"], tmp_path / "all")
    whole, merged = Dataset.open(dataset), Dataset.open(tmp_path / "all")
    assert merged.tasks == ("wipe the table", "stack the cups", "put them away")
    for place, origin in enumerate((1, 2, 0)):
        assert_same_episode(whole, origin, merged, place)
    assert validate(tmp_path / "all") == ()


def test_a_task_that_is_gone_leaves_no_number_behind(dataset: Path) -> None:
    before = Dataset.open(dataset)
    episode = before.episode(2)
    delete(dataset, [1, 0])
    after = Dataset.open(dataset)
    assert after.tasks == ("stack the cups",)
    assert len(after.records) == 1 and len(after) == len(episode)
    np.testing.assert_array_equal(after.episode(0).action, episode.action)
    assert validate(dataset) == ()
    assert [path.name for path in dataset.parent.iterdir()] == ["set"]


def test_deleting_in_place_touches_nothing_else(dataset: Path, tmp_path: Path) -> None:
    (dataset / "README.md").write_text("cups", encoding="utf-8")
    neighbours = [tmp_path / "set.new", tmp_path / "set.old"]
    for neighbour in neighbours:
        neighbour.mkdir()
        (neighbour / "mine").touch()
    link = tmp_path / "link"
    link.symlink_to(dataset)
    delete(link, [1])
    assert link.is_symlink() and len(Dataset.open(dataset).records) == 2
    assert (dataset / "README.md").read_text(encoding="utf-8") == "cups"
    assert all((neighbour / "mine").exists() for neighbour in neighbours)
    assert validate(dataset) == ()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "set", "set.new", "set.old"]


_KILLED = """
import os, sys
from pathlib import Path
from pi0_ros.dataset.edit import delete

dataset, wanted, real = Path(sys.argv[1]), Path(sys.argv[2]), os.replace
os.replace = lambda source, target: (
    os._exit(9) if Path(target) == wanted else real(source, target)
)
delete(dataset, [1])
"""


@pytest.mark.parametrize(("at", "left"), [(".set.delete/old", 3), ("set", 3), ("set/README.md", 2)])
def test_deleting_in_place_goes_on_wherever_it_was_killed(
    dataset: Path, at: str, left: int
) -> None:
    (dataset / "README.md").write_text("cups", encoding="utf-8")
    folder = dataset.parent
    command = [sys.executable, "-c", _KILLED, str(dataset), str(folder / at)]
    assert subprocess.run(command, check=False).returncode == 9
    with pytest.raises(DatasetError, match="no episode 9"):
        delete(dataset, [9])
    assert len(Dataset.open(dataset).records) == left
    assert (dataset / "README.md").read_text(encoding="utf-8") == "cups"
    assert validate(dataset) == ()
    assert [path.name for path in folder.iterdir()] == ["set"]


def test_a_deleted_episode_does_not_come_back_with_its_bag(dataset: Path, made: Path) -> None:
    delete(dataset, [1])
    merge([dataset, made / "set"], dataset.parent / "all")
    bags = [made / name for name in "abc"]
    result = convert_bags(bags, dataset, ConvertOptions(size=64), jobs=1)
    assert result.added == () and len(Dataset.open(dataset).records) == 2
    assert len(Dataset.open(dataset.parent / "all").manifest.deleted) == 1


def test_no_edit_in_place_while_a_conversion_writes(dataset: Path) -> None:
    with dataset_lock(dataset):
        for edit in (lambda: delete(dataset, [0]), lambda: recompute(dataset)):
            with pytest.raises(DatasetError, match="another process is writing to it"):
                edit()
    assert len(Dataset.open(dataset).records) == 3


def test_a_split_that_cannot_be_whole_is_not_begun(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "val").touch()
    with pytest.raises(DatasetError, match="val exists and is not an empty folder"):
        split(dataset, {tmp_path / "train": [0, 1], tmp_path / "val": [2]})
    assert not (tmp_path / "train").exists()


def test_deleting_everything_is_refused(dataset: Path) -> None:
    with pytest.raises(DatasetError, match="no episode would remain"):
        delete(dataset, [0, 1, 2])
    assert validate(dataset) == ()


def test_datasets_of_different_rates_are_not_merged(dataset: Path, made: Path) -> None:
    info = read_info(dataset).to_json() | {"fps": 25}
    write_json(dataset / "meta/info.json", info)
    with pytest.raises(DatasetError, match="25 fps"):
        merge([made / "set", dataset], dataset.parent / "out")
    assert not (dataset.parent / "out").exists()


def test_a_folder_with_something_in_it_is_not_written_over(dataset: Path, made: Path) -> None:
    with pytest.raises(DatasetError, match="is not an empty folder"):
        merge([made / "set", made / "set"], dataset)


def test_recomputed_statistics_are_the_same_again(dataset: Path) -> None:
    before = Dataset.open(dataset).stats
    (dataset / "meta/stats.json").unlink()
    assert validate(dataset) == ("meta/stats.json: missing; `pi0 dataset stats` writes it",)
    recompute(dataset)
    after = Dataset.open(dataset).stats
    np.testing.assert_allclose(after["action"].values["q10"], before["action"].values["q10"])
    key = "observation.images.base_camera"
    np.testing.assert_allclose(after[key].values["mean"], before[key].values["mean"], atol=0.01)


def test_files_that_roll_over_hold_every_frame(dataset: Path, made: Path, tmp_path: Path) -> None:
    info = read_info(dataset).to_json()
    info |= {"data_files_size_in_mb": 1e-9, "video_files_size_in_mb": 1e-9, "chunks_size": 2}
    write_json(dataset / "meta/info.json", info)
    split(dataset, {tmp_path / "rolled": [0, 1, 2]})
    rolled, whole = Dataset.open(tmp_path / "rolled"), Dataset.open(made / "set")
    assert [(r.data.chunk, r.data.file) for r in rolled.records] == [(0, 0), (0, 1), (1, 0)]
    for index in range(3):
        assert_same_episode(whole, index, rolled, index)
    assert validate(tmp_path / "rolled") == ()


def test_what_is_wrong_is_said(dataset: Path) -> None:
    data = dataset / "data/chunk-000/file-000.parquet"
    table = pq.read_table(data)
    pq.write_table(table.append_column("mood", table["index"]), data)
    (dataset / "videos/observation.images.base_camera/chunk-000/file-000.mp4").unlink()
    (dataset / "data/chunk-000/file-007.parquet").write_bytes(b"left over")
    text = "\n".join(validate(dataset))
    assert "column mood is not a feature" in text
    assert "file-000.mp4: cannot be opened" in text
    assert "file-007.parquet: belongs to no episode" in text
