"""bag -> dataset -> bag -> dataset: the second equals the first within the encoding loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from synthetic import SyntheticEpisode, write_bag

from pi0_ros.dataset import Dataset, DatasetError
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.export.to_bags import to_bags
from pi0_ros.recording.read import read_episode

TAKES = {
    "ur5e": SyntheticEpisode(then="put them away"),
    "mobile_trossen": SyntheticEpisode(embodiment="mobile_trossen", duration_s=0.6),
}


def both(tmp_path: Path, take: SyntheticEpisode, codec: str) -> tuple[Dataset, Dataset, Path]:
    """The dataset of a bag, the dataset of its exported bag, and the exported bag."""
    options = ConvertOptions(codec=codec)
    bag = write_bag(tmp_path / "first", "take", take)
    convert_bags([bag], tmp_path / "one", options, jobs=1)
    (again,) = to_bags(tmp_path / "one", tmp_path / "second")
    convert_bags([again], tmp_path / "two", options, jobs=1)
    return Dataset.open(tmp_path / "one"), Dataset.open(tmp_path / "two"), again


def assert_robot_topics(bag: Path, take: SyntheticEpisode) -> None:
    """rosbags reads the bag, and each topic of the robot has one message per frame."""
    robot = take.robot
    with AnyReader([bag]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    wanted = {f"/{camera.topic}" for camera in robot.cameras}
    wanted |= {f"/{dimension.topic}" for dimension in robot.state}
    wanted |= {f"/{controller.topic}" for controller in robot.controllers}
    assert counts.keys() == wanted
    assert len(set(counts.values())) == 1


@pytest.mark.parametrize("embodiment", TAKES)
def test_with_images_everything_is_equal(tmp_path: Path, embodiment: str) -> None:
    one, two, bag = both(tmp_path, TAKES[embodiment], "images")
    assert len(one) == len(two) > 8
    assert one.tasks == two.tasks
    assert one.episode(0).marks == two.episode(0).marks
    assert one.source(0).start_ns == two.source(0).start_ns
    for index in range(len(one)):
        ours, theirs = one.frame(index), two.frame(index)
        np.testing.assert_array_equal(ours.state, theirs.state)
        np.testing.assert_array_equal(ours.action, theirs.action)
        for key, image in ours.images.items():
            np.testing.assert_array_equal(image, theirs.images[key])
    first, again = read_episode(tmp_path / "first" / "take"), read_episode(bag)
    assert (again.task, again.outcome, again.notes) == (first.task, first.outcome, first.notes)
    assert again.complete and again.accepted
    assert_robot_topics(bag, TAKES[embodiment])


def test_with_video_images_differ_by_the_encoding_only(tmp_path: Path) -> None:
    one, two, _ = both(tmp_path, TAKES["ur5e"], "av1")
    assert len(one) == len(two)
    for index in range(len(one)):
        ours, theirs = one.frame(index), two.frame(index)
        np.testing.assert_array_equal(ours.state, theirs.state)
        np.testing.assert_array_equal(ours.action, theirs.action)
        for key, image in ours.images.items():
            error = np.abs(image.astype(int) - theirs.images[key])
            assert error.mean() < 1.5, (index, key)


def test_an_episode_that_is_not_there_is_named(tmp_path: Path) -> None:
    bag = write_bag(tmp_path, "take", SyntheticEpisode(duration_s=0.3))
    convert_bags([bag], tmp_path / "set", ConvertOptions(codec="images"), jobs=1)
    with pytest.raises(DatasetError, match="no episode 4; it has 1"):
        to_bags(tmp_path / "set", tmp_path / "out", [4])
