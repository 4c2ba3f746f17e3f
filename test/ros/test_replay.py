"""A recorded bag is played to a mock robot through the executor."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from harness import Graph
from replayable import ROBOT, write_bag
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from pi0_bringup.mock_robot import MockRobot
from pi0_msgs.msg import ExecutorStatus
from pi0_ros.cli.main import main
from pi0_ros.clients.replay import client as replay
from pi0_ros.clients.replay.client import Replay, ReplayError, replay_episode
from pi0_ros.dataset.recorded_actions import read_actions
from pi0_ros.embodiment import load
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor
from pi0_ros.nodes.managed import LATCHED_QOS

MS = 1_000_000


class RobotAndExecutor:
    """A mock robot and its executor, on a clock that the test advances."""

    def __init__(self, ros: Graph, embodiment: str) -> None:
        self.ros = ros
        self.now_ns = 10_000 * MS
        self._clock = ros.publisher(Clock, "/clock", 1)
        self.statuses = ros.collect(ExecutorStatus, "executor_status", LATCHED_QOS)
        common = {"embodiment": embodiment, "use_sim_time": True}
        cameras = [camera.name for camera in load(embodiment).cameras]
        ros.add(MockRobot, {**common, "silent_cameras": cameras})
        ros.add(ChunkExecutor, common)
        ros.spin_until(lambda: self._clock.get_subscription_count() >= 2, what="they listen")
        for _ in range(100):
            self.tick()
            if self.statuses[-1].state == ExecutorStatus.HOLDING:
                return
        raise AssertionError(f"the executor waits: {self.statuses[-1].reason}")

    def tick(self) -> ExecutorStatus:
        """Let 20 ms pass."""
        before = len(self.statuses)
        self.now_ns += 20 * MS
        clock = Clock()
        clock.clock.sec, clock.clock.nanosec = divmod(self.now_ns, 1000 * MS)
        self._clock.publish(clock)
        self.ros.spin_until(lambda: len(self.statuses) > before, what="a tick")
        self.ros.spin_some()
        return self.statuses[-1]

    def replay(self, bag: Path) -> Replay:
        """A replay of the bag that has received the executor's status and the clock."""
        recorded = read_actions(str(bag))
        node: Replay = self.ros.add(partial(Replay, recorded, ROBOT, 1.0), {"use_sim_time": True})
        self.ros.spin_until(
            lambda: node.is_executor_ready and node._chunks.get_subscription_count(),
            what="it is connected",
        )
        self.tick()
        return node


def test_the_robot_goes_to_the_first_pose_and_then_does_what_was_recorded(
    ros: Graph, tmp_path: Path
) -> None:
    robot = RobotAndExecutor(ros, "mobile_trossen")
    node = robot.replay(write_bag(tmp_path, steps=60))
    node.begin()
    assert node.progress[2]
    begin = len(robot.statuses)
    while not node.finished:
        node.step()
        robot.tick()
    played = robot.statuses[begin:]
    velocity = np.array([s.command_velocity for s in played])
    assert (np.abs(velocity) <= ROBOT.limits.velocity + 1e-9).all()
    assert {s.source_id for s in played if s.state == ExecutorStatus.EXECUTING} == {node._source_id}
    assert played[-1].command[0] == pytest.approx(0.1 + 0.01 * 59, abs=0.01)
    base = ROBOT.action_names.index("base_x")
    assert max(s.command[base] for s in played) == pytest.approx(0.1, abs=0.01)
    assert not node.progress[2]


def test_a_stop_ends_the_replay_for_good(ros: Graph, tmp_path: Path) -> None:
    robot = RobotAndExecutor(ros, "mobile_trossen")
    node = robot.replay(write_bag(tmp_path, steps=60))
    node.begin()
    for _ in range(20):
        node.step()
        robot.tick()
    assert ros.call(Trigger, "chunk_executor/stop", Trigger.Request()).success
    robot.tick()
    with pytest.raises(ReplayError, match=r"the executor no longer follows: .*stop"):
        node.step()
    with pytest.raises(ReplayError, match="accepts no chunks now"):
        node.begin()


def test_an_interrupted_replay_plays_no_further(ros: Graph, tmp_path: Path) -> None:
    robot = RobotAndExecutor(ros, "mobile_trossen")
    node = robot.replay(write_bag(tmp_path, steps=100))
    node.begin()
    for _ in range(40):
        node.step()
        robot.tick()
    assert robot.statuses[-1].state == ExecutorStatus.EXECUTING
    waist = robot.statuses[-1].command[0]
    node.halt()
    for _ in range(50):
        robot.tick()
    held = robot.statuses[-1]
    assert held.state == ExecutorStatus.HOLDING
    assert held.command[0] == pytest.approx(waist, abs=0.02)
    assert not any(held.command_velocity)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", _SIGNALS)
def test_a_signal_halts_the_robot_and_a_second_one_does_not_cut_that_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    done: list[str] = []

    class Halting:
        def __init__(self, *_: object) -> None: ...

        def halt(self) -> None:
            signal.raise_signal(number)
            done.append("halted")

        def destroy_node(self) -> None:
            done.append("destroyed")

    monkeypatch.setattr(replay, "Replay", Halting)

    def play(_node: object, _clock: str, check: Callable[[], None]) -> None:
        signal.raise_signal(number)
        check()

    monkeypatch.setattr(replay, "_play", play)
    monkeypatch.setattr(replay.rclpy, "init", lambda **_: None)
    assert replay_episode(str(write_bag(tmp_path, steps=3))) == 130
    assert done == ["halted", "destroyed"]


def test_a_replay_that_fails_halts_the_robot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Mock()
    monkeypatch.setattr(replay, "Replay", lambda *_: node)
    monkeypatch.setattr(replay, "_play", Mock(side_effect=BrokenPipeError))
    monkeypatch.setattr(replay.rclpy, "init", lambda **_: None)
    with pytest.raises(BrokenPipeError):
        replay_episode(str(write_bag(tmp_path, steps=3)))
    assert [call[0] for call in node.method_calls] == ["halt", "destroy_node"]


def test_another_robot_is_refused(
    ros: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path, steps=3)
    assert main(["replay", str(bag), "ur5e"]) == 2
    assert "was recorded on 'mobile_trossen'; it is not for 'ur5e'" in capsys.readouterr().err
    robot = RobotAndExecutor(ros, "bimanual_trossen")
    with pytest.raises(ReplayError, match="the executor drives 'bimanual_trossen'"):
        robot.replay(bag).begin()
