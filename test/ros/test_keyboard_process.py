"""The keyboard node in its own terminal."""

from __future__ import annotations

import math
import os
import pty
import signal
import termios
import threading
import time
from collections.abc import Iterator

import pytest
from harness import Graph

from pi0_msgs.msg import ExecutorStatus, TeleopCommand
from pi0_ros.embodiment import load
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS

TROSSEN = load("bimanual_trossen")
HOLD_S = 1.0


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
        {"embodiment": "bimanual_trossen", "hold_s": HOLD_S},
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

    pressed_s = -math.inf

    def press_and_release_until_driven() -> bool:
        """Press a key once, wait for longer than a press counts as held, and press it again."""
        nonlocal pressed_s
        status.publish(message)
        if time.monotonic() - pressed_s > 1.5 * HOLD_S:
            os.write(keyboard, b"\x1b[A")
            pressed_s = time.monotonic()
        return any(command.deadman for command in sent)

    # A key that is held before the robot is known drives nothing until it is released.
    ros.spin_until(
        lambda: status.get_subscription_count() and ros.node.count_publishers("teleop_command"),
        what="the node is connected",
    )
    # A key that is down before the node knows the robot drives nothing until it is released.
    ros.spin_until(press_and_release_until_driven, 60.0, what="the up key drives")
    ros.spin_until(lambda: press_until(b"\x1b[A", True), what="the held up key drives")
    assert sent[-1].position[0] > TROSSEN.home[0]
    assert termios.tcgetattr(program) != before
    ros.spin_until(lambda: press_until(b" ", False), what="space lets go")
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60.0) == 0
    assert termios.tcgetattr(program) == before
