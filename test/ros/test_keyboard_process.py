"""The keyboard node in its own terminal."""

from __future__ import annotations

import os
import pty
import signal
import termios
import threading
from collections.abc import Iterator

import pytest
from harness import Graph
from rclpy.duration import Duration

from pi0_msgs.msg import ExecutorStatus, TeleopCommand
from pi0_ros.embodiment import load
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS

TROSSEN = load("bimanual_trossen")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both sides of a pseudo-terminal; the output of the program is read and discarded."""
    keyboard, program = pty.openpty()

    def read_away() -> None:
        try:
            while os.read(keyboard, 1 << 16):
                pass
        except OSError:  # closed
            return

    reader = threading.Thread(target=read_away, daemon=True)
    reader.start()
    yield keyboard, program
    os.close(program)
    os.close(keyboard)


def test_a_key_drives_space_lets_go_and_the_terminal_comes_back(
    ros: Graph, terminal: tuple[int, int]
) -> None:
    keyboard, program = terminal
    before = termios.tcgetattr(program)
    sent = ros.collect(TeleopCommand, "teleop_command", COMMAND_QOS)
    status = ros.publisher(ExecutorStatus, "executor_status", LATCHED_QOS)
    child = ros.process(
        "pi0_bringup.teleoperation.keyboard_teleop",
        {"embodiment": "bimanual_trossen"},
        stdin=program,
        stdout=program,
    )
    message = ExecutorStatus(embodiment=TROSSEN.name, state=ExecutorStatus.HOLDING)
    message.action_names = list(TROSSEN.action_names)
    message.command = TROSSEN.home.tolist()

    def press_until(key: bytes, deadman: bool) -> bool:
        status.publish(message)
        os.write(keyboard, key)
        return bool(sent) and sent[-1].deadman is deadman

    # A key that is held before the robot is known drives nothing until it is released.
    ros.spin_until(
        lambda: status.get_subscription_count() and ros.node.count_publishers("teleop_command"),
        what="the node is connected",
    )
    status.publish(message)
    assert status.wait_for_all_acked(Duration(seconds=20))
    ros.spin_until(lambda: press_until(b"\x1b[A", True), what="the up key drives")
    assert sent[-1].position[0] > TROSSEN.home[0]
    assert termios.tcgetattr(program) != before
    ros.spin_until(lambda: press_until(b" ", False), what="space lets go")
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20.0) == 0
    assert termios.tcgetattr(program) == before
