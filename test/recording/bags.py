"""Small bags for tests: one camera and one joint-state topic of the ur5e."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pi0_ros.embodiment import load
from pi0_ros.recording.bag import BagWriter
from pi0_ros.recording.definitions import definition
from pi0_ros.recording.episode import EpisodeInfo, Instruction, TopicCount
from pi0_ros.recording.mcap_file import McapFile, Message
from pi0_ros.recording.metadata import BagTopic, Offered
from pi0_ros.recording.topics import Role

START_NS = 1_700_000_000_000_000_000
TYPES = {"/camera": "sensor_msgs/msg/Image", "/joint_states": "sensor_msgs/msg/JointState"}
TOPICS = tuple(
    BagTopic(name=name, type=type_, digest=definition(type_).digest, offered=(Offered(),))
    for name, type_ in TYPES.items()
)
INFO = EpisodeInfo(
    embodiment="ur5e",
    embodiment_yaml=load("ur5e").path.read_text(encoding="utf-8"),
    task="fold: “the shirt”",
    instructions=(Instruction(stamp_ns=START_NS, text="fold: “the shirt”"),),
    start_ns=START_NS,
    topics=tuple(
        TopicCount(name=name, source=name, type=type_, role=Role.EXTRA)
        for name, type_ in TYPES.items()
    ),
)


def message(topic: int, i: int, size: int = 100) -> Message:
    """The i-th message of a topic (0 camera, 1 joints), 10 ms after the one before."""
    stamp = START_NS + i * 10_000_000
    return Message(topic + 1, stamp, stamp - 1, i, bytes([i % 256]) * size)


def open_bag(directory: Path, open_file: Callable[[Path], McapFile] = McapFile.create) -> BagWriter:
    return BagWriter(directory, "episode", TOPICS, INFO, open_file)


def chunk(first: int, count: int) -> list[Message]:
    """Messages of both topics; the camera's are larger."""
    return [
        message(t, i, 100 + 900 * (t == 0)) for i in range(first, first + count) for t in (0, 1)
    ]
