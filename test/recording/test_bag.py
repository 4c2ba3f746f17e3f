"""A bag is what rosbag2 says a bag is, and is whole or not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from bags import INFO, START_NS, chunk, open_bag
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosReliability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from pi0_ros.recording.episode import Outcome, Termination
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.read import embodiment_of, mcap_of, read_episode

DONE = replace(INFO, end_ns=START_NS + 10**9, termination=Termination.STOPPED)


def write(directory: Path, chunks: int = 3) -> Path:
    bag = open_bag(directory)
    for i in range(chunks):
        bag.write(chunk(5 * i, 5))
    return bag.finish(DONE)


def test_rosbags_reads_every_message_with_topic_type_and_time(tmp_path: Path) -> None:
    path = write(tmp_path)
    with Reader(path) as reader:
        assert reader.message_count == 30
        assert {c.topic: c.msgtype for c in reader.connections} == {
            "/camera": "sensor_msgs/msg/Image",
            "/joint_states": "sensor_msgs/msg/JointState",
        }
        assert reader.connections[0].ext.offered_qos_profiles[0].reliability == (
            QosReliability.RELIABLE
        )
        found = list(reader.messages())
    times = [time for _, time, _ in found]
    assert times == sorted(times) and times[0] == START_NS
    assert [len(data) for c, _, data in found if c.topic == "/camera"] == [1000] * 15


def test_definitions_in_the_bag_are_those_that_rosbags_knows(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    with AnyReader([write(tmp_path)]) as reader:
        for connection in reader.connections:
            assert connection.digest == store.hash_rihs01(connection.msgtype)
            assert reader.typestore.hash_rihs01(connection.msgtype) == connection.digest


def test_the_mcap_library_finds_publish_times_sequences_and_statistics(tmp_path: Path) -> None:
    with mcap_of(write(tmp_path)).open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert summary.statistics.message_count == 30
        assert summary.statistics.chunk_count == 3
        messages = [m for _, _, m in reader.iter_messages(topics=["/joint_states"])]
        assert [m.sequence for m in messages] == list(range(15))
        assert {m.log_time - m.publish_time for m in messages} == {1}
        names = [record.name for record in reader.iter_metadata()]
    assert names == ["pi0_episode", "pi0_episode", "rosbag2"]


def test_metadata_are_those_of_jazzy(tmp_path: Path) -> None:
    text = (write(tmp_path) / "metadata.yaml").read_text(encoding="utf-8")
    information = yaml.safe_load(text)["rosbag2_bagfile_information"]
    assert information["version"] == 9
    assert information["relative_file_paths"] == ["episode_0.mcap"]
    assert information["starting_time"] == {"nanoseconds_since_epoch": START_NS}
    assert information["duration"] == {"nanoseconds": 140_000_000}
    (offered,) = information["topics_with_message_count"][0]["topic_metadata"][
        "offered_qos_profiles"
    ]
    assert offered["reliability"] == "reliable"
    assert all(isinstance(v, str) for v in information["custom_data"].values())
    assert "&" not in text.split("custom_data")[0]  # yaml-cpp reads anchors; people do not


def test_the_folder_and_the_lone_mcap_know_the_episode(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert read_episode(path) == DONE
    assert read_episode(path / "episode_0.mcap") == DONE
    assert embodiment_of(DONE, "bag").action_names[0] == "shoulder_pan"


def test_is_called_by_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    bag = open_bag(tmp_path)
    bag.write(chunk(0, 5))
    assert [p.name for p in tmp_path.iterdir()] == ["episode.recording"]
    bag.finish(replace(DONE, outcome=Outcome.FAILED))
    assert [p.name for p in tmp_path.iterdir()] == ["episode"]
    files = sorted(p.name for p in (tmp_path / "episode").iterdir())
    assert files == ["episode_0.mcap", "metadata.yaml"]


def test_discarding_leaves_nothing(tmp_path: Path) -> None:
    bag = open_bag(tmp_path)
    bag.write(chunk(0, 5))
    bag.discard()
    assert list(tmp_path.iterdir()) == []


def test_refuses_to_overwrite_an_episode(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(RecordingError, match="exists already"):
        open_bag(tmp_path)


def test_an_episode_without_a_message_is_still_a_bag(tmp_path: Path) -> None:
    with Reader(write(tmp_path, chunks=0)) as reader:
        assert reader.message_count == 0


def test_writes_more_messages_at_once_than_the_kernel_takes(tmp_path: Path) -> None:
    bag = open_bag(tmp_path)
    bag.write(chunk(0, 2000))
    with Reader(bag.finish(DONE)) as reader:
        assert len(list(reader.messages())) == 4000
