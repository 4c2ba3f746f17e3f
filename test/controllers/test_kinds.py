"""What every controller kind must do, for every controller of the shipped robots."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pi0_ros.controllers import CONTROLLER_KINDS, CommandError
from pi0_ros.embodiment import available, load
from pi0_ros.embodiment.packing import controller_packer
from pi0_ros.extensions import UnknownEntryError

CONTROLLERS = [
    pytest.param(name, controller.name, id=f"{name}-{controller.name}")
    for name in available()
    for controller in load(name).controllers
]


@pytest.mark.parametrize(("name", "controller_name"), CONTROLLERS)
def test_a_command_is_read_back_and_followed_to_the_last_bit(
    name: str, controller_name: str
) -> None:
    robot = load(name)
    controller = next(c for c in robot.controllers if c.name == controller_name)
    kind, packer = CONTROLLER_KINDS.get(controller.kind), controller_packer(robot, controller)
    command = robot.home + 0.01 * np.arange(len(robot.action))
    at_rest = np.zeros_like(command)
    message = kind.writer(packer).fill(command, at_rest, 10**9)
    np.testing.assert_array_equal(kind.read(packer, message), packer.raw(command))
    mock = kind.mock(packer, np.zeros(len(packer.joints)), 0.5)
    mock.receive(message, 1.0)
    followed = packer.value(packer.raw(command))
    np.testing.assert_array_equal(mock.sample(1.0 + packer.period_s), followed)


def test_a_trajectory_without_a_joint_is_refused_by_name() -> None:
    robot = load("bimanual_trossen")
    kind = CONTROLLER_KINDS.get("joint_trajectory")
    packer = controller_packer(robot, robot.controllers[0])
    message = kind.writer(packer).fill(robot.home, np.zeros(14), 0)
    message.joint_names = ["elbow", *message.joint_names[1:]]
    with pytest.raises(CommandError, match="waist missing"):
        kind.read(packer, message)


def test_an_unknown_name_lists_the_known_ones_and_the_entry_point_group() -> None:
    known = r"'twits' is not a known controller kind; .*'pi0_ros.controllers'.*did you mean 'twist'"
    with pytest.raises(UnknownEntryError, match=known):
        CONTROLLER_KINDS.get("twits")


def test_the_kinds_are_loaded_without_ros() -> None:
    text = (
        "import sys, pi0_ros.control; "
        "print([m for m in sys.modules if m.split('.')[0].endswith('_msgs') or m == 'rclpy'])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
