"""What is sent beside the setpoint."""

from __future__ import annotations

import numpy as np
import pytest

from pi0_ros.controllers import CONTROLLER_KINDS
from pi0_ros.controllers.kind import CommandWriter
from pi0_ros.embodiment import load
from pi0_ros.embodiment.packing import controller_packer

PERIOD_S = 0.02


@pytest.fixture
def writer() -> CommandWriter:
    robot = load("bimanual_trossen")
    arm = next(c for c in robot.controllers if c.kind == "joint_trajectory")
    return CONTROLLER_KINDS.get(arm.kind).writer(controller_packer(robot, arm))


def test_outside_its_bounds_an_arm_stops_on_the_way_in_and_does_not_jump_to_them(
    writer: CommandWriter,
) -> None:
    robot = load("bimanual_trossen")
    command, velocity = robot.limits.upper + 0.1, np.full(len(robot.action), -0.01)
    _, stop = writer.fill(command, velocity, 0).points
    # It brakes for a period at least, at half the speed in the mean.
    assert list(stop.positions) == pytest.approx(command[:6] - 0.01 * PERIOD_S / 2.0)


def test_near_a_bound_an_arm_does_not_stop_beyond_it(writer: CommandWriter) -> None:
    robot = load("bimanual_trossen")
    velocity = np.full(len(robot.action), 1.0)
    _, stop = writer.fill(robot.limits.upper - 1e-3, velocity, 0).points
    assert list(stop.positions) == robot.limits.upper[:6].tolist()
