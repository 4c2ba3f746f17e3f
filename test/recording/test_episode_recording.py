"""An episode on a disk that is slow, full or well: what is kept, counted and said."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from pi0_ros.embodiment import load
from pi0_ros.recording.bag_check import check_bag
from pi0_ros.recording.definitions import definition
from pi0_ros.recording.episode import Outcome, Termination
from pi0_ros.recording.episode_recording import EpisodeRecording, RecordingPlan
from pi0_ros.recording.mcap_file import McapFile, Message
from pi0_ros.recording.metadata import BagTopic
from pi0_ros.recording.read import read_episode
from pi0_ros.recording.repair import repair
from pi0_ros.recording.topics import Role, episode_topics

UR5E = load("ur5e")
TOPICS = episode_topics(UR5E)
STORE = get_typestore(Stores.ROS2_JAZZY)
EXPECTED = [i for i, topic in enumerate(TOPICS) if topic.expected_hz]
START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def plan(directory: Path, **fields: object) -> RecordingPlan:
    return RecordingPlan(embodiment=UR5E, topics=TOPICS, directory=directory, **fields)  # type: ignore[arg-type]


def begin(plan_: RecordingPlan, name: str = "ur5e_1") -> EpisodeRecording:
    topics = [
        BagTopic(name=f"/{t.name.lstrip('/')}", type=t.type, digest=definition(t.type).digest)
        for t in TOPICS
    ]
    return EpisodeRecording(plan_, name, topics, "fold the shirt", "", START_NS)


def serialise(topic: int, stamp_ns: int) -> bytes:
    """A small frame, or joint states that move, of the topic with this place."""
    types = STORE.types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, SECOND))
    header = types["std_msgs/msg/Header"](stamp, "")
    kind = TOPICS[topic].type
    content: Any
    if TOPICS[topic].role is Role.COMMAND:
        layout = types["std_msgs/msg/MultiArrayLayout"]([], 0)
        content = types[kind](layout, np.zeros(6))
    elif TOPICS[topic].role is Role.CAMERA:
        noise = np.random.default_rng(stamp_ns).integers(50, 200, 48 * 64 * 3, np.uint8)
        content = types[kind](header, 48, 64, "rgb8", 0, 192, noise)
    else:
        joints = [d.joint for d in UR5E.state if d.topic == TOPICS[topic].name]
        angle = 0.1 + 0.3 * ((stamp_ns - START_NS) % (2 * SECOND)) / SECOND
        numbers = np.full(len(joints), angle)
        content = types[kind](header, joints, numbers, numbers * 0, numbers * 0)
    return bytes(STORE.serialize_cdr(content, kind))


def play(recording: EpisodeRecording, duration_s: float = 2.0) -> None:
    """Offer what sensors and executor would send, in order, as fast as it goes."""
    due = [
        (START_NS + round(k * SECOND / TOPICS[i].expected_hz), i)
        for i in EXPECTED
        for k in range(round(duration_s * TOPICS[i].expected_hz))
    ]
    for stamp_ns, i in sorted(due):
        recording.offer(i, stamp_ns + 1_000_000, stamp_ns, 0, serialise(i, stamp_ns))


class Disk(McapFile):
    """A disk that stalls until it is let go, or fills up."""

    gate: threading.Event | None = None
    room: int | None = None

    def add_chunk(self, messages: Sequence[Message]) -> None:
        if self.gate is not None:
            assert self.gate.wait(20.0)
        if self.room is not None and self.size > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().add_chunk(messages)


def test_a_good_take_is_judged_alike_live_and_from_the_bag(tmp_path: Path) -> None:
    recording = begin(plan(tmp_path))
    play(recording)
    end_ns = START_NS + 2 * SECOND
    ended = recording.stop(Outcome.SUCCEEDED, "clean", end_ns)
    assert ended.report.findings == ()
    info, report = check_bag(ended.path)
    assert info == ended.info == read_episode(ended.path)
    assert report == ended.report
    assert (ended.path / "quality.json").read_text(encoding="utf-8") == report.to_json()
    assert info.complete and info.accepted
    assert (info.outcome, info.notes) == (Outcome.SUCCEEDED, "clean")
    assert all(t.received == t.written for t in info.topics)
    with Reader(ended.path) as reader:
        assert reader.message_count == sum(t.written for t in info.topics) > 300


def test_a_publisher_without_a_clock_costs_no_message(tmp_path: Path) -> None:
    recording = begin(plan(tmp_path))
    recording.offer(0, START_NS, -1, 0, serialise(0, START_NS))
    recording.offer(0, START_NS + 1, 0, 1, serialise(0, START_NS + 1))
    ended = recording.stop(Outcome.SUCCEEDED, "", START_NS + SECOND)
    assert ended.info.topics[0].written == 2
    assert ended.info.complete


def test_what_cannot_be_written_for_whatever_reason_is_lost_and_said(tmp_path: Path) -> None:
    recording = begin(plan(tmp_path))
    recording.offer(0, -1, START_NS, 0, serialise(0, START_NS))
    ended = recording.stop(Outcome.SUCCEEDED, "", START_NS + SECOND)
    assert ended.info.topics[0].lost == 1
    assert not ended.info.complete
    assert "the disk refused to write" in ended.info.reason


def test_subtasks_keep_their_times_and_survive_a_kill(tmp_path: Path) -> None:
    recording = begin(plan(tmp_path))
    play(recording, 1.0)
    recording.set_instruction("left sleeve", START_NS + SECOND)
    recording.queue.close()  # and nothing else: as if killed
    info = repair(recording.folder).info
    assert [(i.stamp_ns - START_NS, i.text) for i in info.instructions] == [
        (0, "fold the shirt"),
        (SECOND, "left sleeve"),
    ]
    assert info.instruction_at(START_NS + SECOND + 1) == "left sleeve"


def test_a_slow_disk_costs_messages_and_not_memory(tmp_path: Path) -> None:
    gate = threading.Event()

    def slow(path: Path) -> McapFile:
        disk = Disk.create(path)
        assert isinstance(disk, Disk)
        disk.gate = gate
        return disk

    limit = 200_000
    recording = begin(plan(tmp_path, queue_bytes=limit, open_file=slow))
    play(recording)
    assert recording.queue.waiting_bytes <= limit
    gate.set()
    ended = recording.stop(Outcome.SUCCEEDED, "", START_NS + 2 * SECOND)
    assert ended.finished and not ended.info.complete
    assert ended.info.termination is Termination.INCOMPLETE
    cameras = [t for t in ended.info.topics if t.role == "camera"]
    assert all(t.lost > 0 and t.received == t.written + t.lost for t in cameras)
    assert any("messages lost, written too slowly" in p for p in ended.info.problems)
    with Reader(ended.path) as reader:
        assert reader.message_count == sum(t.written for t in ended.info.topics)


def test_a_full_disk_fails_the_episode_and_keeps_what_was_written(tmp_path: Path) -> None:
    def full(path: Path) -> McapFile:
        disk = Disk.create(path)
        assert isinstance(disk, Disk)
        disk.room = 60_000
        return disk

    begin(plan(tmp_path), "earlier").stop(Outcome.UNMARKED, "", START_NS + 2 * SECOND)
    before = (tmp_path / "earlier" / "earlier_0.mcap").read_bytes()
    recording = begin(plan(tmp_path, open_file=full))
    play(recording, 1.0)
    while recording.queue.waiting_bytes:
        pass
    play(recording, 1.0)
    ended = recording.stop(Outcome.SUCCEEDED, "", START_NS + 2 * SECOND)
    assert ended.finished
    assert ended.info.outcome is Outcome.FAILED
    assert ended.info.reason == "the disk refused to write: No space left on device"
    with Reader(ended.path) as reader:
        assert 0 < reader.message_count == sum(t.written for t in ended.info.topics)
    assert (tmp_path / "earlier" / "earlier_0.mcap").read_bytes() == before


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from test_episode_recording import *
resource.setrlimit(resource.RLIMIT_FSIZE, (1_300_000, resource.RLIM_INFINITY))
recording = begin(plan(Path({directory!r})))
play(recording, 1.0)
while recording.queue.waiting_bytes: pass
play(recording, 4.0)
ended = recording.stop(Outcome.SUCCEEDED, "", START_NS + 4 * SECOND)
assert ended.info.outcome is Outcome.FAILED, ended.info
assert "File too large" in ended.info.reason, ended.info.reason
assert ended.finished, ended
"""


def test_a_real_refusal_of_the_kernel_leaves_a_whole_bag(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    script = LIMITED.format(
        root=str(root), tests=str(Path(__file__).parent), directory=str(tmp_path)
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    with Reader(tmp_path / "ur5e_1") as reader:
        assert reader.message_count > 50


def test_a_discarded_take_leaves_nothing(tmp_path: Path) -> None:
    recording = begin(plan(tmp_path))
    play(recording, 0.5)
    recording.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_loses_less_than_a_second(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    script = (
        f"import sys; sys.path[:0] = [{str(root)!r}, {str(Path(__file__).parent)!r}]\n"
        "from test_episode_recording import *\n"
        f"recording = begin(plan(Path({str(tmp_path)!r})))\n"
        "play(recording, 1.0)\n"
        "while recording.queue.waiting_bytes: pass\n"
        "print('written', flush=True)\n"
        "play(recording, 600.0)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = repair(tmp_path / "ur5e_1.recording")
    assert done.info.termination is Termination.REPAIRED
    wanted = sum(round(t.expected_hz) for t in TOPICS)
    assert done.kept >= wanted
    with Reader(done.path) as reader:
        assert reader.message_count == done.kept


def test_no_episode_starts_where_the_disk_has_no_room_for_its_end(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            begin(plan(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_message_is_written_told_of_and_stops_nothing(tmp_path: Path) -> None:
    recording = begin(plan(tmp_path))
    for i in EXPECTED:
        recording.offer(i, START_NS, START_NS, 0, b"odd")
    play(recording)
    ended = recording.stop(Outcome.SUCCEEDED, "", START_NS + 2 * SECOND)
    assert all(t.received == t.written for t in ended.info.topics)
    camera = TOPICS[EXPECTED[0]].name
    assert any(
        problem.startswith(f"{camera}: a message of 3 bytes cannot be read")
        for problem in ended.info.problems
    )
