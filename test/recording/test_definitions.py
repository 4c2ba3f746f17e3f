"""Generated definitions and hashes agree with those of the installed ROS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from pi0_ros import embodiment
from pi0_ros.recording.definitions import definition
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.topics import episode_topics
from pi0_ros.system.ament_index import prefixes


def installed_hashes() -> Iterator[tuple[str, str]]:
    for prefix in prefixes(os.environ):
        for path in prefix.glob("share/*/msg/*.json"):
            name = f"{path.parts[-3]}/msg/{path.stem}"
            for entry in json.loads(path.read_text(encoding="utf-8"))["type_hashes"]:
                if entry["type_name"] == name:
                    yield name, entry["hash_string"]


def test_every_type_of_the_installed_ros_gets_its_own_hash() -> None:
    installed = dict(installed_hashes())
    recorded = {
        topic.type
        for name in embodiment.available()
        for topic in episode_topics(embodiment.load(name))
    }
    assert recorded <= installed.keys()
    assert {name: definition(name).digest for name in installed} == installed


@pytest.mark.parametrize(
    "name", ["sensor_msgs/msg/Image", "pi0_msgs/msg/ExecutorStatus", "std_msgs/msg/Char"]
)
def test_the_text_alone_defines_the_type(name: str) -> None:
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition(name).text, name))
    assert store.hash_rihs01(name) == definition(name).digest


def test_names_a_message_type_that_is_not_installed() -> None:
    with pytest.raises(RecordingError, match="odd_msgs/msg/Odd is not installed"):
        definition("odd_msgs/msg/Odd")
    with pytest.raises(RecordingError, match="give package/msg/Name"):
        definition("Odd")
