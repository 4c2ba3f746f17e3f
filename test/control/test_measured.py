"""Joint states count as fresh when their stamps advance, not when they arrive."""

from __future__ import annotations

import pytest
from arm_with_base import MS, START, embodiment

from pi0_ros.control.measured import JointWatch

TOPIC = "joint_states"
TIMEOUT_S = 0.25
FROZEN = "arrive with a stamp that has not advanced for 0.30 s (limit 0.25 s)"
#: The driver may use another clock than the executor.
DRIVER_NS = 77 * 10**12


class Driver:
    """Joint states every 10 ms of the executor's clock, with stamps that the test chooses."""

    def __init__(self) -> None:
        robot = embodiment()
        self.watch = JointWatch(robot, TIMEOUT_S)
        self.names = tuple(d.joint for d in robot.state)
        self.now_ns = 10**9

    def send(self, *stamps_ns: int) -> str | None:
        """Send one message for each stamp; returns the problem afterwards."""
        for stamp_ns in stamps_ns:
            self.now_ns += 10 * MS
            self.watch.heard(TOPIC, self.now_ns, stamp_ns)
            self.watch.update(TOPIC, self.names, START[:3], (0.0,) * 3, (), stamp_ns)
        return self.watch.problem(self.now_ns)

    def advance(self, begin_ns: int, count: int = 30) -> str | None:
        return self.send(*(begin_ns + k * 10 * MS for k in range(count)))


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_stamps_of_another_clock_are_fresh_while_they_advance(driver: Driver) -> None:
    assert driver.advance(DRIVER_NS) is None


def test_a_frozen_driver_that_repeats_its_stamp_is_not_fresh(driver: Driver) -> None:
    driver.advance(DRIVER_NS, 2)
    assert driver.send(*[DRIVER_NS + 10 * MS] * 25) is None
    problem = driver.send(*[DRIVER_NS + 10 * MS] * 5)
    assert problem == f"joint states on {TOPIC} {FROZEN}; the driver has frozen"
    assert not driver.watch.are_heard_since(driver.now_ns - 280 * MS)
    assert driver.advance(DRIVER_NS + 20 * MS, 1) is None


def test_a_driver_that_falls_silent_is_said_to_have_stopped(driver: Driver) -> None:
    driver.advance(DRIVER_NS)
    stopped = driver.watch.problem(driver.now_ns + 300 * MS)
    assert stopped == f"joint states on {TOPIC} stopped 0.30 s ago (limit 0.25 s)"


def test_joint_states_without_stamps_are_fresh_when_they_arrive(driver: Driver) -> None:
    assert driver.send(*[0] * 30) is None
    assert driver.watch.are_heard_since(driver.now_ns - 1)


def test_stamps_that_jump_back_are_fresh_again_as_soon_as_they_advance(driver: Driver) -> None:
    driver.advance(DRIVER_NS)
    before_ns = driver.now_ns
    driver.send(10 * MS)
    assert not driver.watch.are_heard_since(before_ns)
    driver.send(20 * MS)
    assert driver.watch.are_heard_since(before_ns)
    assert driver.advance(30 * MS) is None


def test_a_driver_that_is_frozen_from_the_start_gives_no_pose(driver: Driver) -> None:
    problem = driver.send(*[DRIVER_NS] * 5)
    assert problem == f"joint states on {TOPIC} carry a stamp that has not advanced yet"
    assert driver.send(DRIVER_NS + 1) is None
