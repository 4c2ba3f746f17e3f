"""The recorder's action: one episode for a client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Graph
from rclpy.action import ActionClient
from recorder_rig import JOINTS, Operator, Sensors
from rosbags.rosbag2 import Reader

from pi0_msgs.action import RecordEpisode
from pi0_ros.nodes.recorder.node import Recorder
from pi0_ros.recording.episode import Outcome, Termination
from pi0_ros.recording.read import read_episode


@pytest.fixture
def operator(ros: Graph, tmp_path: Path) -> Iterator[Operator]:
    sensors = Sensors(ros)
    made = Operator(ros, tmp_path)
    node = ros.add(Recorder, {"embodiment": "ur5e", "directory": str(tmp_path), "reserve_mb": 1})
    assert node.failure is None
    yield made
    sensors.close()


class Client:
    """An action's client: sends a goal, keeps the feedback, waits for the result."""

    def __init__(self, ros: Graph) -> None:
        self.ros = ros
        self.feedback: list[Any] = []
        self._client = ActionClient(ros.node, RecordEpisode, "recorder/record_episode")
        ros.spin_until(self._client.server_is_ready, what="the action")

    def send(self, **goal: Any) -> Any:
        sent = self._client.send_goal_async(
            RecordEpisode.Goal(**goal), lambda m: self.feedback.append(m.feedback)
        )
        self.ros.spin_until(sent.done, what="the goal taken")
        return sent.result()

    def result(self, handle: Any) -> Any:
        asked = handle.get_result_async()
        self.ros.spin_until(asked.done, what="the result")
        return asked.result().result


def test_it_records_for_its_time_with_feedback(ros: Graph, tmp_path: Path) -> None:
    # On the time of the sensors, which goes by as they publish, on any machine.
    sensors = Sensors(ros, simulated=True)
    operator = Operator(ros, tmp_path)
    parameters = {"embodiment": "ur5e", "directory": str(tmp_path), "reserve_mb": 1}
    ros.add(Recorder, {**parameters, "use_sim_time": True})
    operator.await_ready()
    client = Client(ros)
    result = client.result(client.send(task="fold", max_duration_s=0.8))
    ros.spin_until(lambda: client.feedback, what="the feedback")
    sensors.close()
    assert result.termination in (result.KEPT, result.DOUBTFUL), result.message
    assert result.duration_s >= 0.8
    with Reader(Path(result.path)) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert counts[f"/{JOINTS}"] > 20
    rates = dict(zip(client.feedback[-1].topics, client.feedback[-1].rates_hz, strict=True))
    assert rates[JOINTS] > 0.0


def test_a_cancelled_action_keeps_the_episode_unmarked(ros: Graph, operator: Operator) -> None:
    operator.await_ready()
    client = Client(ros)
    handle = client.send(task="fold")
    operator.await_messages(20)
    cancelled = handle.cancel_goal_async()
    ros.spin_until(cancelled.done, what="the cancellation")
    result = client.result(handle)
    assert result.termination in (result.KEPT, result.DOUBTFUL), result.message
    info = read_episode(Path(result.path))
    assert info.outcome is Outcome.UNMARKED and info.termination is Termination.STOPPED


def test_an_action_tells_of_refusal_and_of_being_discarded(ros: Graph, operator: Operator) -> None:
    operator.await_ready()
    client = Client(ros)
    handle = client.send(task="fold")
    operator.await_messages(20)
    refused = client.result(client.send(task="another"))
    assert refused.termination == refused.REFUSED
    assert refused.message.startswith("an episode is being recorded")
    operator.trigger("discard_episode")
    assert client.result(handle).termination == RecordEpisode.Result.DISCARDED
