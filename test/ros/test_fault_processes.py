"""Faults of real processes, injected into a suite that runs: killed, hung, starved.

The suite is started once; each test begins with the robot executing chunks.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Graph
from policy_rig import UR5E
from sensor_msgs.msg import JointState

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_ros.checkpoint import create_untrained
from pi0_ros.nodes.managed import LATCHED_QOS

EXECUTING, HOLDING = ExecutorStatus.EXECUTING, ExecutorStatus.HOLDING


class Suite:
    """Mock robot, camera_sync, executor and policy, each a process, and what is heard of them."""

    def __init__(self, ros: Graph, checkpoint: Path) -> None:
        self.ros = ros
        self.statuses = ros.collect(ExecutorStatus, "executor_status", LATCHED_QOS)
        self.chunks = ros.collect(ActionChunk, "action_chunk", 100)
        self.joints = ros.collect(JointState, "joint_states", 100)
        self._checkpoint = checkpoint
        self._start("pi0_bringup.mock_robot", camera_scale=0.1)
        self._start("pi0_ros.nodes.camera_sync")
        self.executor = self._start("pi0_ros.nodes.chunk_executor.node")
        self.start_policy()

    def _start(self, module: str, **parameters: Any) -> subprocess.Popen[bytes]:
        return self.ros.process(module, {"embodiment": "ur5e", **parameters})

    def start_policy(self) -> None:
        self.policy = self._start(
            "pi0_ros.nodes.policy.node", checkpoint=self._checkpoint, prompt="stack", num_steps=1
        )

    @property
    def status(self) -> Any:
        return self.statuses[-1]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        self.ros.spin_until(condition, 120.0, what)

    def wait_for(self, state: int) -> Any:
        self.wait(lambda: self.statuses and self.status.state == state, f"state {state}")
        return self.status

    def wait_for_a_new_chunk(self) -> None:
        """The robot executes a chunk that was published after now."""
        known = len(self.chunks)
        self.wait(
            lambda: (
                self.status.state == EXECUTING
                and any(c.sequence == self.status.chunk_sequence for c in self.chunks[known:])
            ),
            "a new chunk is executed",
        )

    def count_joint_states(self, count: int) -> None:
        """Let time pass, as the robot counts it: 100 messages are a second."""
        begin = len(self.joints)
        self.wait(lambda: len(self.joints) >= begin + count, f"{count} joint states")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    checkpoint = tmp_path_factory.mktemp("checkpoint") / "tiny"
    create_untrained(checkpoint, UR5E, seed=0)
    graph = Graph()
    try:
        yield Suite(graph, checkpoint)
    finally:
        graph.close()


@pytest.fixture
def suite(running: Suite) -> Suite:
    running.wait_for(EXECUTING)
    running.statuses[:] = running.statuses[-1:]
    running.chunks[:] = running.chunks[-1:]
    return running


def assert_commands_within_limits(statuses: list[Any]) -> None:
    """Velocity and acceleration of the commands, tick after tick, once there are any."""
    statuses = [s for s in statuses if s.state != ExecutorStatus.WAITING]
    limits, dt = UR5E.limits, 1.0 / UR5E.rates.control_hz
    velocity = np.array([s.command_velocity for s in statuses])
    follow = np.diff([s.ticks for s in statuses]) == 1  # a lost status is no jump
    change = np.diff(velocity, axis=0)[follow] / dt
    assert (np.abs(velocity) <= limits.velocity + 1e-6).all()
    assert (np.abs(change) <= limits.acceleration + 1e-4).all()


def assert_ended_by_itself(status: Any) -> None:
    """The chunk ran out; or the machine kept the executor from running, which drops it earlier."""
    assert "is exhausted" in status.reason or "no tick for" in status.reason, status.reason


def test_a_hung_policy_ends_in_a_hold_and_what_it_had_begun_does_not_resume(
    suite: Suite,
) -> None:
    suite.policy.send_signal(signal.SIGSTOP)
    try:
        assert_ended_by_itself(suite.wait_for(HOLDING))
        suite.count_joint_states(50)
        assert suite.status.state == HOLDING
        held_ns = suite.ros.node.get_clock().now().nanoseconds
        suite.count_joint_states(200)
    finally:
        suite.policy.send_signal(signal.SIGCONT)
    suite.wait_for_a_new_chunk()
    executed = next(c for c in suite.chunks if c.sequence == suite.status.chunk_sequence)
    seen = executed.observation_stamp
    assert seen.sec * 10**9 + seen.nanosec > held_ns
    assert_commands_within_limits(suite.statuses)


def test_an_executor_starved_for_a_second_holds_says_so_and_goes_on(suite: Suite) -> None:
    missed = suite.status.missed_ticks
    suite.executor.send_signal(signal.SIGSTOP)
    try:
        suite.count_joint_states(100)
    finally:
        suite.executor.send_signal(signal.SIGCONT)
    suite.wait(lambda: any("no tick for" in s.reason for s in suite.statuses), "the gap is said")
    starved = next(s for s in suite.statuses if "no tick for" in s.reason)
    assert starved.state == HOLDING
    assert starved.missed_ticks >= missed + 20
    assert not any(starved.command_velocity)
    suite.wait_for_a_new_chunk()


def test_a_killed_policy_ends_in_a_hold_and_a_new_one_takes_over(suite: Suite) -> None:
    before = suite.status.source_id
    os.kill(suite.policy.pid, signal.SIGKILL)
    suite.policy.wait()
    assert_ended_by_itself(suite.wait_for(HOLDING))
    suite.count_joint_states(50)
    assert suite.status.state == HOLDING
    assert_commands_within_limits(suite.statuses)
    suite.start_policy()
    suite.wait_for_a_new_chunk()
    assert suite.status.source_id not in ("", before)


def test_a_killed_executor_started_again_begins_where_the_arm_is(suite: Suite) -> None:
    os.kill(suite.executor.pid, signal.SIGKILL)
    suite.executor.wait()
    suite.statuses.clear()
    suite.executor = suite._start("pi0_ros.nodes.chunk_executor.node", start_stopped=True)
    status = suite.wait_for(ExecutorStatus.STOPPED)
    measured = dict(zip(suite.joints[-1].name, suite.joints[-1].position, strict=True))
    arm = [measured[d.joint] for d in UR5E.action[:6]]
    assert list(status.command)[:6] == pytest.approx(arm, abs=0.05)
    assert_commands_within_limits(suite.statuses)
