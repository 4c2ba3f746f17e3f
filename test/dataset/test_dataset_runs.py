"""Several runs into one dataset: appending, interruption, worker processes, concurrent runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import SHORT, SMALL, convert, write_bag

from pi0_ros.dataset import Dataset, DatasetError
from pi0_ros.dataset.convert import workers
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.workers import ConversionProgress
from pi0_ros.dataset.format.validate import validate
from pi0_ros.dataset.format.writer import STAGING


def test_converting_again_adds_only_what_is_new(tmp_path: Path) -> None:
    bags = [write_bag(tmp_path, name, replace(SHORT, seed=i)) for i, name in enumerate("ab")]
    first = convert(bags[:1], tmp_path / "set")
    data = (tmp_path / "set" / first.info.data_file(first.records[0].data)).read_bytes()
    result = convert_bags(bags, tmp_path / "set", SMALL, jobs=1)
    assert (result.present, result.added) == ((bags[0],), (bags[1],))
    after = Dataset.open(tmp_path / "set")
    assert [source.bag for source in after.manifest.episodes] == ["a", "b"]
    assert after.records[1].data.file == 1
    assert (tmp_path / "set" / after.info.data_file(after.records[0].data)).read_bytes() == data
    assert validate(tmp_path / "set") == ()
    assert convert_bags(bags, tmp_path / "set", SMALL, jobs=1).added == ()


def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bags = [write_bag(tmp_path, name, replace(SHORT, seed=i)) for i, name in enumerate("ab")]
    converted: list[Path] = []
    real = workers.convert_bag

    def killed_at_the_second(bag, options, folder, progress):  # type: ignore[no-untyped-def]
        if len(converted) == 1:
            folder.mkdir(parents=True)  # half-done
            raise KeyboardInterrupt
        converted.append(bag.path)
        real(bag, options, folder, progress)

    monkeypatch.setattr(workers, "convert_bag", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        convert_bags(bags, tmp_path / "set", SMALL, jobs=1)
    monkeypatch.setattr(workers, "convert_bag", real)
    steps: list[ConversionProgress] = []
    result = convert_bags(bags, tmp_path / "set", SMALL, jobs=1, on_progress=steps.append)
    assert {step.bag for step in steps} == {bags[1]}
    assert len(result.added) == 2
    assert validate(tmp_path / "set") == ()
    assert not (tmp_path / "set" / STAGING).exists()


@pytest.mark.parametrize("at", ["tasks.parquet", "stats.json", "pi0_manifest.json", "info.json"])
def test_killed_while_files_are_moved_in_the_dataset_is_the_old_one_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    bags = [write_bag(tmp_path, name, replace(SHORT, seed=i)) for i, name in enumerate("ab")]
    before = convert(bags[:1], tmp_path / "set")
    moved = stop_at(monkeypatch, tmp_path / "set/meta" / at)
    with pytest.raises(KeyboardInterrupt):
        convert_bags(bags, tmp_path / "set", SMALL, jobs=1)
    monkeypatch.undo()
    assert any(name.endswith("file-001.parquet") for name in moved)
    assert len(Dataset.open(tmp_path / "set")) == len(before)
    assert convert_bags(bags, tmp_path / "set", SMALL, jobs=1).added == (bags[1],)
    after = Dataset.open(tmp_path / "set")
    assert len(after.records) == 2
    assert [source.bag for source in after.manifest.episodes] == ["a", "b"]
    assert validate(tmp_path / "set") == ()


def test_statistics_are_not_those_of_what_a_killed_first_run_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bags = [write_bag(tmp_path, name, replace(SHORT, seed=i)) for i, name in enumerate("ab")]
    stop_at(monkeypatch, tmp_path / "set/meta/info.json")
    with pytest.raises(KeyboardInterrupt):
        convert_bags(bags[:1], tmp_path / "set", SMALL, jobs=1)
    monkeypatch.undo()
    dataset = convert(bags[1:], tmp_path / "set")
    expected = dataset.episode(0).action.mean(axis=0)
    np.testing.assert_allclose(dataset.stats["action"].values["mean"], expected, atol=1e-6)


def stop_at(monkeypatch: pytest.MonkeyPatch, wanted: Path) -> list[str]:
    """Interrupt the process at the rename to this name; return the names before it."""
    real = os.replace
    moved: list[str] = []

    def killed(source: Path, target: Path) -> None:
        if Path(target) == wanted:
            raise KeyboardInterrupt
        moved.append(str(target))
        real(source, target)

    monkeypatch.setattr("os.replace", killed)
    return moved


def test_what_a_run_killed_at_its_very_end_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path, "a", SHORT)
    with monkeypatch.context() as patched:
        patched.setattr("pi0_ros.dataset.convert.convert_bags.shutil.rmtree", lambda *_, **__: None)
        convert_bags([bag], tmp_path / "set", SMALL, jobs=1)
    assert (tmp_path / "set" / STAGING).exists()
    convert_bags([bag], tmp_path / "set", SMALL, jobs=1)
    assert not (tmp_path / "set" / STAGING).exists()


def test_several_processes_give_the_same_dataset_as_one(tmp_path: Path) -> None:
    bags = [write_bag(tmp_path, name, replace(SHORT, seed=i)) for i, name in enumerate("ab")]
    one = convert(bags, tmp_path / "one")
    convert_bags(bags, tmp_path / "two", SMALL, jobs=2)
    two = Dataset.open(tmp_path / "two")
    assert two.manifest == one.manifest
    for index in range(2):
        np.testing.assert_array_equal(one.episode(index).action, two.episode(index).action)


def test_every_other_conversion_into_a_dataset_is_kept_out(tmp_path: Path) -> None:
    bag = write_bag(tmp_path, "a", SHORT)
    refused: list[str] = []

    def meanwhile(_step: ConversionProgress) -> None:
        while len(refused) < 2:  # the first one refused must not take the lock away
            with pytest.raises(DatasetError) as caught:
                convert_bags([bag], tmp_path / "set", SMALL, jobs=1)
            refused.append(str(caught.value))

    convert_bags([bag], tmp_path / "set", SMALL, jobs=1, on_progress=meanwhile)
    assert all("another process is writing to it" in reason for reason in refused)
    assert validate(tmp_path / "set") == ()
