"""The recorder as a process that is killed, interrupted, or runs out of disk."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Graph
from recorder_rig import JOINTS, Operator, Sensors
from rosbags.rosbag2 import Reader

from pi0_msgs.msg import RecorderStatus
from pi0_ros.recording.episode import Outcome, Termination
from pi0_ros.recording.read import read_episode
from pi0_ros.recording.repair import repair


@pytest.fixture
def sensors(ros: Graph) -> Iterator[Sensors]:
    made = Sensors(ros)
    yield made
    made.close()


def start(ros: Graph, directory: Path, **parameters: object) -> subprocess.Popen[bytes]:
    return ros.process(
        "pi0_ros.nodes.recorder.node",
        {"embodiment": "ur5e", "directory": str(directory), "reserve_mb": 1, **parameters},
    )


def recording(ros: Graph, directory: Path) -> tuple[subprocess.Popen[bytes], Operator, Path]:
    """A recorder in mid-episode, its operator, and where the episode will be."""
    child = start(ros, directory)
    operator = Operator(ros, directory)
    operator.await_ready()
    path = Path(operator.start().path)
    operator.await_messages(20)
    return child, operator, path


def test_a_kill_in_mid_episode_costs_its_last_moments_and_nothing_else(
    ros: Graph, sensors: Sensors, tmp_path: Path
) -> None:
    child, operator, _ = recording(ros, tmp_path)
    earlier = Path(operator.stop().path)
    operator.await_ready()
    operator.start("second task")
    operator.await_messages(60)
    operator.instruct("left sleeve")
    written = operator.await_messages(100).written
    child.send_signal(signal.SIGKILL)
    child.wait()
    (left,) = tmp_path.glob("*.recording")
    done = repair(left)
    assert done.kept >= sum(written)
    assert done.info.termination is Termination.REPAIRED
    assert done.info.instructions[-1].text == "left sleeve"
    assert read_episode(earlier).termination is Termination.STOPPED
    with Reader(done.path) as reader:
        (joints,) = (c for c in reader.connections if c.topic == f"/{JOINTS}")
        assert joints.msgcount >= 100


def test_what_is_published_while_it_is_kept_from_running_is_not_lost(
    ros: Graph, sensors: Sensors, tmp_path: Path
) -> None:
    child, operator, _ = recording(ros, tmp_path)
    sensors.silent.add(JOINTS)
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    sensors.burst(JOINTS, 1000)
    child.send_signal(signal.SIGCONT)
    operator.await_messages(1020)
    joints = read_episode(Path(operator.stop().path)).topic(JOINTS)
    assert (joints.lost, joints.missed) == (0, 0)


def test_an_interrupt_in_mid_episode_keeps_it_and_ends_in_order(
    ros: Graph, sensors: Sensors, tmp_path: Path
) -> None:
    child, _, path = recording(ros, tmp_path)
    child.send_signal(signal.SIGINT)
    assert child.wait(60.0) == 0
    info = read_episode(path)
    assert info.outcome is Outcome.UNMARKED and info.complete


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take all the room there is, as another program might."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(1 << 16)):
            pass


def test_a_disk_that_fills_up_fails_the_episode_loudly_and_spares_the_earlier_ones(
    ros: Graph, sensors: Sensors, small_disk: Path
) -> None:
    child, operator, _ = recording(ros, small_disk)
    earlier = Path(operator.stop().path)
    operator.await_ready()
    operator.start()
    operator.await_messages(60)
    fill(small_disk / "filler")
    status = operator.await_status(lambda s: s.state == RecorderStatus.FAILED, "the failure")
    assert "disk" in status.reason
    failed = Path(status.episode_path)
    info = read_episode(failed)
    assert (info.outcome, info.complete) == (Outcome.FAILED, False)
    assert "disk" in info.reason
    for path in (earlier, failed):
        with Reader(path) as reader:
            assert reader.message_count == len(list(reader.messages())) > 0
    refused = operator.start()
    assert not refused.success and "GB free" in refused.message
    assert child.poll() is None
    (small_disk / "filler").unlink()
    operator.await_status(lambda s: s.ready, "ready again")
