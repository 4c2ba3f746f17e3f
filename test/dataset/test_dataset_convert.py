"""Conversion of a bag: the reasons for a refusal, the actions and the images of frames."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from synthetic import (
    SHORT,
    SMALL,
    START_NS,
    SyntheticEpisode,
    action_at,
    convert,
    events,
    state_at,
    write_bag,
)

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.dataset import DatasetError
from pi0_ros.dataset.convert.bags import find_bags, fingerprint
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.export.bag_writer import EpisodeBagWriter
from pi0_ros.dataset.export.messages import depth_message
from pi0_ros.dataset.format.validate import validate
from pi0_ros.embodiment import measured_action
from pi0_ros.nodes.observations import time_message
from pi0_ros.recording.definitions import definition
from pi0_ros.recording.episode import Outcome

STATUS = "pi0_msgs/msg/ExecutorStatus"


@pytest.mark.parametrize(
    ("take", "option", "reason"),
    [
        (
            replace(SHORT, accepted=False, problems=("wrist_camera: frozen for 1.2 s",)),
            "doubtful",
            "the quality gate does not accept it: wrist_camera: frozen for 1.2 s",
        ),
        (replace(SHORT, outcome=Outcome.FAILED), "failed", "the operator marked it as failed"),
    ],
)
def test_refuses_what_gate_or_operator_rejected_unless_told(
    tmp_path: Path, take: SyntheticEpisode, option: str, reason: str
) -> None:
    bag = write_bag(tmp_path, "bad", take)
    good = write_bag(tmp_path, "good", SHORT)
    result = convert_bags([bag, good], tmp_path / "set", SMALL, jobs=1)
    assert [path for path, _ in result.refused] == [bag] and reason in result.refused[0][1]
    assert result.added == (good,)
    assert len(convert([bag, good], tmp_path / "all", **{option: True}).records) == 2


def test_other_options_are_not_mixed_into_a_dataset(tmp_path: Path) -> None:
    bags = [write_bag(tmp_path, name, replace(SHORT, seed=i)) for i, name in enumerate("ab")]
    convert(bags[:1], tmp_path / "set")
    with pytest.raises(DatasetError, match="was made with size 32, now size is 64"):
        convert(bags, tmp_path / "set", size=64)


def test_depth_that_the_dataset_lacks_is_refused_and_not_left_out(tmp_path: Path) -> None:
    topic = "base_camera/depth"
    convert([write_bag(tmp_path, "flat", SHORT)], tmp_path / "set")
    bag = write_deep_bag(tmp_path, topic)
    with pytest.raises(DatasetError, match=r"deep: observation\.depth\.base is not in the dataset"):
        convert([bag], tmp_path / "set", depth=(("base", topic),))


@pytest.mark.parametrize("depth", [(("a/b", "t"),), (("a", "t"), ("a", "u"))])
def test_depth_cameras_that_would_share_a_feature_or_have_none_are_refused(
    depth: tuple[tuple[str, str], ...],
) -> None:
    with pytest.raises(DatasetError, match="give each camera one name, without a slash"):
        ConvertOptions(depth=depth).check()


def test_bags_of_two_robots_are_not_mixed(tmp_path: Path) -> None:
    one = write_bag(tmp_path, "one", SHORT)
    other = write_bag(tmp_path, "other", replace(SHORT, embodiment="franka"))
    with pytest.raises(DatasetError, match="another embodiment"):
        convert([one, other], tmp_path / "set")


def test_without_commands_says_what_to_do(tmp_path: Path) -> None:
    bag = EpisodeBagWriter(tmp_path, "watched", SHORT.robot, SHORT.info())
    commanded = {controller.topic for controller in SHORT.robot.controllers}
    for log_ns, topic, message in events(SHORT):
        if topic not in commanded:
            bag.add(topic, log_ns, message)
    path = bag.finish(SHORT.end_ns)
    with pytest.raises(DatasetError, match=r"nothing was commanded on .*--actions states"):
        convert([path], tmp_path / "set")
    episode = convert([path], tmp_path / "states", actions="states").episode(0)
    expected = measured_action(SHORT.robot, episode.state[1:].astype(np.float64))
    np.testing.assert_allclose(episode.action[:-1], expected, atol=1e-6)


def as_sent(message: Any) -> bytes:
    """The bytes on the wire; rclpy appends reserved bytes that it did not use."""
    data = serialize_message(message)
    known = status_types().get_msgdef(STATUS)
    _, position = known.deserialize_cdr_le(data[4:], 0, known.cls, status_types())
    return bytes(data[: position + 4])


@cache
def status_types() -> Any:
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(definition(STATUS).text, STATUS))
    return store


def test_the_executors_stamps_count_more_than_a_busy_recorders(tmp_path: Path) -> None:
    robot = SHORT.robot
    bag = EpisodeBagWriter(
        tmp_path,
        "busy",
        robot,
        SHORT.info(),
        extra={"executor_status": STATUS},
    )
    held: list[tuple[int, str, Any]] = []
    for log_ns, topic, message in events(SHORT):
        command = topic in {controller.topic for controller in robot.controllers}
        # Commands arrive in bursts, up to 40 ms late.
        late_ns = -(log_ns - START_NS) % 40_000_000 if command else 0
        held.append((log_ns + late_ns, topic, message))
    for log_ns, topic, message in sorted(held, key=lambda event: event[0]):
        bag.add(topic, log_ns, message)
    for offset_ns in range(0, 400_000_000, 2_000_000):
        status = ExecutorStatus(
            action_names=list(robot.action_names)[::-1],
            command=action_at(SHORT, offset_ns / 1e9)[::-1],
        )
        status.header.stamp = time_message(START_NS + offset_ns)
        bag.add_raw("executor_status", START_NS + 400_000_000, as_sent(status))
    path = bag.finish(SHORT.end_ns)
    dataset = convert([path], tmp_path / "auto")
    offset_s = (dataset.source(0).start_ns - START_NS) / 1e9
    for frame, action in enumerate(dataset.episode(0).action):
        expected = action_at(SHORT, (offset_s + frame / dataset.fps) // 0.002 * 0.002)
        np.testing.assert_allclose(action, expected, atol=5e-3)


def test_a_hole_in_the_observations_is_refused_with_its_place(tmp_path: Path) -> None:
    take = SyntheticEpisode(duration_s=1.6)
    bag = EpisodeBagWriter(tmp_path, "hole", take.robot, take.info())
    camera = take.robot.cameras[0].topic
    for log_ns, topic, message in events(take):
        if topic != camera or not 0.4e9 < log_ns - START_NS < 1.2e9:
            bag.add(topic, log_ns, message)
    path = bag.finish(take.end_ns)
    with pytest.raises(DatasetError, match=r"no aligned observation for 0\.\d+ s, 0\.\d s into"):
        convert([path], tmp_path / "set")
    assert len(convert([path], tmp_path / "all", doubtful=True)) > 25


def test_a_clock_that_was_set_is_no_hour_of_still_frames(tmp_path: Path) -> None:
    take = SyntheticEpisode(duration_s=0.6)
    bag = EpisodeBagWriter(tmp_path, "set", take.robot, take.info())
    for log_ns, topic, message in events(take):
        later_ns = 3_600_000_000_000 if log_ns - START_NS > 0.3e9 else 0
        if later_ns and hasattr(message, "header"):
            message.header.stamp.sec += 3600
        bag.add(topic, log_ns + later_ns, message)
    path = bag.finish(take.end_ns)
    with pytest.raises(DatasetError, match=r"observation for 3600 s: the clock was set"):
        convert([path], tmp_path / "out", doubtful=True)


def test_native_images_keep_the_cameras_size(tmp_path: Path) -> None:
    bag = write_bag(tmp_path, "take", SHORT)
    dataset = convert([bag], tmp_path / "set", size=0)
    assert dataset.info.features["observation.images.base_camera"].shape == (48, 64, 3)
    assert dataset.frame(3).images["observation.images.base_camera"].shape == (48, 64, 3)


DEPTH = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) + 900


def write_deep_bag(folder: Path, topic: str, duration_s: float = 0.4) -> Path:
    """A bag with one depth image on a topic; its seed differs from those of other tests."""
    take = SyntheticEpisode(duration_s=duration_s, seed=4)
    bag = EpisodeBagWriter(
        folder, "deep", take.robot, take.info(), extra={topic: "sensor_msgs/msg/Image"}
    )
    bag.add(topic, START_NS, depth_message("base", START_NS, DEPTH))
    for log_ns, name, message in events(take):
        bag.add(name, log_ns, message)
    return bag.finish(take.end_ns)


def test_depth_is_kept_to_the_millimetre(tmp_path: Path) -> None:
    topic = "base_camera/depth"
    path = write_deep_bag(tmp_path, topic)
    dataset = convert([path], tmp_path / "set", depth=(("base", topic),))
    np.testing.assert_array_equal(dataset.frame(2).images["observation.depth.base"], DEPTH)
    assert dataset.info.features["observation.depth.base"].info == {"is_depth_map": True}
    assert validate(tmp_path / "set") == ()


def test_a_depth_camera_that_died_is_refused(tmp_path: Path) -> None:
    topic = "base_camera/depth"
    path = write_deep_bag(tmp_path, topic, duration_s=1.2)
    with pytest.raises(DatasetError, match=r"depth base is 0\.\d+ s older than an observation"):
        convert([path], tmp_path / "set", depth=(("base", topic),))
    convert([path], tmp_path / "all", depth=(("base", topic),), doubtful=True)


def test_states_are_measured_at_the_frames_observation(tmp_path: Path) -> None:
    dataset = convert([write_bag(tmp_path, "take", SHORT)], tmp_path / "set")
    start_s = (dataset.source(0).start_ns - START_NS) / 1e9
    # Nearest joint state to the newest frame: within half a joint-state period.
    nearest = min(
        np.abs(dataset.episode(0).state[0] - state_at(SHORT, start_s + shift)).max()
        for shift in np.linspace(-0.01, 0.01, 41)
    )
    assert nearest < 1e-3


def test_finds_bags_in_folders_and_names_what_is_none(tmp_path: Path) -> None:
    bags = [write_bag(tmp_path / "all", name, SHORT) for name in "ba"]
    assert find_bags([tmp_path / "all", bags[0]]) == (bags[1], bags[0])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="is neither a bag nor a folder of bags"):
        find_bags([tmp_path / "empty"])


def test_the_fingerprint_is_of_the_content_and_not_of_the_name(tmp_path: Path) -> None:
    one = write_bag(tmp_path, "one", SHORT)
    other = write_bag(tmp_path, "other", replace(SHORT, seed=1))
    assert fingerprint(one) != fingerprint(other)
    before = fingerprint(one)
    assert fingerprint(one.rename(tmp_path / "renamed")) == before
