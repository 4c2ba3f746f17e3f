"""``pi0 record`` at a terminal and in a script, with the recorder it starts for itself."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Graph
from recorder_rig import Operator, Sensors
from source_prefix import running_programs, write_prefix

from pi0_ros.clients.record.link import RecorderLink
from pi0_ros.recording.episode import Outcome
from pi0_ros.recording.read import read_episode
from pi0_ros.system.stop_signals import StopSignals


@pytest.fixture
def sensors(ros: Graph) -> Iterator[Sensors]:
    made = Sensors(ros)
    yield made
    made.close()


@pytest.fixture
def command(ros: Graph, tmp_path: Path) -> tuple[str, ...]:
    ros.environment["AMENT_PREFIX_PATH"] = str(write_prefix(tmp_path / "prefix"))
    words = ("-m", "pi0_ros.cli.main", "record", "ur5e", "--task", "fold the shirt")
    return (sys.executable, *words, "--directory", str(tmp_path / "bags"), "--reserve-mb", "1")


def start(ros: Graph, words: tuple[str, ...], **popen: Any) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(words, env=ros.environment, **popen)
    ros._processes.append(child)
    return child


def test_a_script_records_its_episodes_and_tells_of_each(
    ros: Graph, sensors: Sensors, command: tuple[str, ...], tmp_path: Path
) -> None:
    more = ("--episodes", "2", "--duration", "0.5", "--outcome", "succeeded")
    child = start(ros, (*command, *more), stdout=subprocess.PIPE)
    ros.spin_until(lambda: child.poll() is not None, 60.0, "the end of the script")
    assert child.stdout is not None
    said = child.stdout.read().decode()
    assert child.returncode == 0, said
    paths = sorted((tmp_path / "bags").iterdir())
    assert len(paths) == 2
    for i, path in enumerate(paths):
        assert f"episode {i + 1} of 2: {path.name}: " in said
        info = read_episode(path)
        assert info.outcome is Outcome.SUCCEEDED and info.duration_s >= 0.5


def test_an_interrupt_inside_a_callback_comes_out_as_one(ros: Graph) -> None:
    with StopSignals() as signals:
        link = RecorderLink(ros.node, ros.executor, "/recorder", signals.check)
        ros.node.create_timer(0.001, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            link.await_(lambda: False, 60.0)


def test_an_interrupted_script_keeps_the_episode_and_leaves_nothing_behind(
    ros: Graph, sensors: Sensors, command: tuple[str, ...], tmp_path: Path
) -> None:
    child = start(ros, (*command, "--episodes", "2", "--duration", "600"))
    Operator(ros, tmp_path).await_status(lambda s: s.state == s.RECORDING, "an episode")
    child.send_signal(signal.SIGINT)
    ros.spin_until(lambda: child.poll() is not None, 60.0, "the end of the script")
    assert child.returncode == 0
    assert running_programs(tmp_path / "prefix") == {}
    (path,) = (tmp_path / "bags").iterdir()
    assert read_episode(path).outcome is Outcome.UNMARKED


def test_keys_start_instruct_and_end_episodes_and_the_terminal_is_given_back(
    ros: Graph, sensors: Sensors, command: tuple[str, ...], tmp_path: Path
) -> None:
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    before = termios.tcgetattr(theirs)
    child = start(ros, command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    screen = bytearray()

    def press(keys: str) -> None:
        os.write(terminal, keys.encode())

    def drain() -> bool:
        os.set_blocking(terminal, False)
        while True:
            try:
                screen.extend(os.read(terminal, 1 << 16))
            except (BlockingIOError, OSError):
                return True

    operator = Operator(ros, tmp_path)
    watch = operator.await_status
    watch(lambda s: drain() and s.ready, "a ready recorder")
    ros.spin_until(lambda: drain() and b"READY" in screen, what="the screen")
    press(" ")
    watch(lambda s: drain() and s.state == s.RECORDING, "an episode")
    press("ileft sleeve\n")
    watch(lambda s: drain() and s.instruction == "left sleeve", "the instruction")
    press("s")
    watch(lambda s: drain() and s.episodes_kept == 1, "the episode kept")
    ros.spin_until(lambda: drain() and b"1 succeeded" in screen, what="the tally")
    press("q")
    ros.spin_until(lambda: drain() and child.poll() is not None, 60.0, "the end")
    assert child.returncode == 0
    assert termios.tcgetattr(theirs) == before
    (path,) = (tmp_path / "bags").iterdir()
    info = read_episode(path)
    assert info.outcome is Outcome.SUCCEEDED
    assert [step.text for step in info.instructions] == ["fold the shirt", "left sleeve"]
    os.close(terminal)
    os.close(theirs)


def test_without_a_terminal_it_asks_for_a_script(ros: Graph, command: tuple[str, ...]) -> None:
    done = subprocess.run(
        command, env=ros.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.decode() == "pi0: this is no terminal: give --episodes N and --duration S\n"
