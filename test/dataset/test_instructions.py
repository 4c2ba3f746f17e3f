"""The task of each frame, from the recorder's labels and recorded instruction messages."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from synthetic import SHORT, START_NS, SyntheticEpisode, convert, events

from pi0_ros.dataset import Dataset
from pi0_ros.dataset.export.bag_writer import EpisodeBagWriter
from pi0_ros.recording.definitions import definition
from pi0_ros.recording.episode import EpisodeInfo, Instruction
from pi0_ros.stamps import sec_nanosec

TYPE = "pi0_msgs/msg/Instruction"
MS = 1_000_000
PLANNER = 2
UNSTAMPED = -START_NS // MS  # a stamp of zero


@cache
def store() -> Any:
    found = get_typestore(Stores.ROS2_JAZZY)
    types = get_types_from_msg(definition(TYPE).text, TYPE)
    found.register({name: each for name, each in types.items() if name not in found.fielddefs})
    return found


def serialized(stamp_ns: int, text: str) -> bytes:
    types = store().types
    sec, nanosec = sec_nanosec(stamp_ns)
    stamp = types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="")
    message = types[TYPE](header=header, source=PLANNER, text=text, id=f"{stamp_ns}")
    return bytes(store().serialize_cdr(message, TYPE))


def converted(
    folder: Path,
    info: EpisodeInfo,
    messages: list[tuple[int, int, str]],
    take: SyntheticEpisode = SHORT,
    kind: str = TYPE,
) -> Dataset:
    """A dataset of one bag with messages of (arrival, stamp) after the start [ms] and text."""
    bag = EpisodeBagWriter(folder, "bag", take.robot, info, extra={"instruction": kind})
    waiting = sorted(messages)
    for log_ns, topic, message in events(take):
        while waiting and START_NS + waiting[0][0] * MS <= log_ns:
            arrival, stamp, text = waiting.pop(0)
            bag.add_raw(
                "instruction", START_NS + arrival * MS, serialized(START_NS + stamp * MS, text)
            )
        bag.add(topic, log_ns, message)
    return convert([bag.finish(take.end_ns)], folder / "set")


def tasks(dataset: Dataset) -> list[tuple[int, str]]:
    """(time after the start [ms], text) wherever the task changes; the first one at 0."""
    start_ms = (dataset.source(0).start_ns - START_NS) / MS
    changes = [
        (start_ms + frame * 1000 / dataset.fps, text) for frame, text in dataset.episode(0).marks
    ]
    assert [text for _, text in changes] == [mark.text for mark in dataset.source(0).marks]
    return [(round(ms) if index else 0, text) for index, (ms, text) in enumerate(changes)]


def test_the_newest_of_labels_and_messages_is_the_task(tmp_path: Path) -> None:
    labels = (
        Instruction(stamp_ns=START_NS, text="stack the cups"),
        Instruction(stamp_ns=START_NS + 200 * MS, text="left cup"),
    )
    info = replace(SHORT.info(), instructions=labels)
    dataset = converted(tmp_path, info, [(110, 100, "right cup"), (310, 300, "rest")])
    found = tasks(dataset)
    assert [text for _, text in found] == ["stack the cups", "right cup", "left cup", "rest"]
    period_ms = 1000 / dataset.fps
    for (change_ms, _), given_ms in zip(found[1:], (100, 200, 300), strict=True):
        assert given_ms <= change_ms < given_ms + period_ms + 1


def test_messages_count_by_stamp_and_not_by_arrival(tmp_path: Path) -> None:
    dataset = converted(tmp_path, SHORT.info(), [(250, 200, "newer"), (260, 100, "older")])
    assert [text for _, text in tasks(dataset)] == ["stack the cups", "older", "newer"]


def test_a_message_without_a_stamp_counts_from_its_arrival(tmp_path: Path) -> None:
    dataset = converted(tmp_path, SHORT.info(), [(200, -START_NS // MS, "left cup")])
    assert [text for _, text in tasks(dataset)] == ["stack the cups", "left cup"]


def test_a_start_label_replaces_a_latched_older_message(tmp_path: Path) -> None:
    # The first frames are stamped before the episode starts: the start label holds for them too.
    start_ns = START_NS + 150 * MS
    label = Instruction(stamp_ns=start_ns, text="stack the cups")
    info = replace(SHORT.info(), start_ns=start_ns, instructions=(label,))
    dataset = converted(tmp_path, info, [(0, -5000, "fold the towel")])
    assert tasks(dataset) == [(0, "stack the cups")]


@pytest.mark.parametrize("labels", [(), (Instruction(stamp_ns=START_NS, text=""),)])
def test_a_latched_message_is_the_task_of_an_episode_without_label(
    tmp_path: Path, labels: tuple[Instruction, ...]
) -> None:
    info = replace(SHORT.info(), task="", instructions=labels)
    dataset = converted(tmp_path, info, [(0, -5000, "fold the towel"), (0, -9000, "older")])
    assert tasks(dataset) == [(0, "fold the towel")]


def test_a_task_without_label_replaces_a_latched_older_message(tmp_path: Path) -> None:
    info = replace(SHORT.info(), instructions=())
    assert tasks(converted(tmp_path, info, [(0, -5000, "fold")])) == [(0, "stack the cups")]


def test_a_message_without_stamp_counts_by_arrival(tmp_path: Path) -> None:
    dataset = converted(tmp_path, SHORT.info(), [(0, UNSTAMPED, "older"), (200, UNSTAMPED, "left")])
    assert [text for _, text in tasks(dataset)] == ["stack the cups", "left"]


def test_an_empty_message_changes_nothing(tmp_path: Path) -> None:
    messages = [(100, 100, "left cup"), (200, 200, ""), (300, 300, "  ")]
    dataset = converted(tmp_path, SHORT.info(), messages)
    assert [text for _, text in tasks(dataset)] == ["stack the cups", "left cup"]


def test_another_type_on_the_topic_is_not_read(tmp_path: Path) -> None:
    dataset = converted(
        tmp_path, SHORT.info(), [(100, 100, "left cup")], kind="std_msgs/msg/String"
    )
    assert tasks(dataset) == [(0, "stack the cups")]
