"""The recorder as a node: what it records, what it refuses, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Graph
from rclpy.serialization import deserialize_message
from recorder_rig import ARM, CAMERA, JOINTS, UR5E, WRIST, Operator, Sensors
from rosbags.rosbag2 import Reader
from std_msgs.msg import String

from pi0_msgs.msg import Instruction as InstructionMessage
from pi0_msgs.srv import StopEpisode
from pi0_ros.nodes.managed import LATCHED_QOS
from pi0_ros.nodes.observations import time_message
from pi0_ros.nodes.recorder.node import Recorder
from pi0_ros.recording.episode import Outcome
from pi0_ros.recording.read import read_episode


@pytest.fixture
def sensors(ros: Graph) -> Iterator[Sensors]:
    made = Sensors(ros)
    yield made
    made.close()


@pytest.fixture
def operator(ros: Graph, sensors: Sensors, tmp_path: Path) -> Operator:
    made = Operator(ros, tmp_path)
    node = ros.add(Recorder, {"embodiment": "ur5e", "directory": str(tmp_path), "reserve_mb": 1})
    assert node.failure is None
    return made


def topics_of(path: Path) -> dict[str, int]:
    with Reader(path) as reader:
        return {c.topic: c.msgcount for c in reader.connections}


def test_records_what_is_published_and_nothing_is_lost(
    operator: Operator, sensors: Sensors
) -> None:
    operator.await_ready()
    started = operator.start()
    assert started.success, started.message
    operator.await_messages(60)
    stopped = operator.stop()
    assert stopped.success, stopped.message
    path = Path(stopped.path)
    assert path.name.startswith("ur5e_") and path.name.endswith("_000")
    info = read_episode(path)
    assert info.outcome is Outcome.SUCCEEDED and info.complete
    assert info.embodiment_yaml == UR5E.path.read_text(encoding="utf-8")
    assert all(t.missed == t.lost == 0 and t.received == t.written for t in info.topics)
    counts = topics_of(path)
    assert counts[f"/{JOINTS}"] >= 60
    assert counts[f"/{CAMERA}"] >= 10
    assert counts["/prompt"] == 1  # latched before the episode began
    with Reader(path) as reader:
        (prompt,) = (d for c, _, d in reader.messages() if c.topic == "/prompt")
        (joints,) = (c for c in reader.connections if c.topic == f"/{JOINTS}")
        assert joints.ext.offered_qos_profiles[0].reliability.name == "BEST_EFFORT"
    assert deserialize_message(prompt, String).data == "fold the shirt"
    assert list(operator.directory.iterdir()) == [path]


def test_starts_only_when_every_stream_is_fresh_and_names_the_others(
    operator: Operator, sensors: Sensors
) -> None:
    operator.await_ready()
    sensors.silent.update({WRIST, ARM})
    operator.await_status(
        lambda s: not s.ready and WRIST in s.reason and ARM in s.reason, "both silent ones named"
    )
    refused = operator.start()
    assert not refused.success
    assert refused.message.startswith(f"not ready: {WRIST}: silent for")
    assert list(operator.directory.iterdir()) == []
    sensors.silent.clear()
    operator.await_ready()
    assert operator.start().success


def test_a_topic_that_dies_is_warned_of_at_once_and_marked(
    operator: Operator, sensors: Sensors
) -> None:
    operator.await_ready()
    operator.start()
    operator.await_messages(20)
    sensors.silent.add(WRIST)
    operator.await_status(
        lambda s: any(w.startswith(f"{WRIST}: silent for") for w in s.warnings), "a live warning"
    )
    stopped = operator.stop()
    assert stopped.success and not stopped.accepted
    assert any(problem.startswith(f"{WRIST}: silent") for problem in stopped.problems)
    info = read_episode(Path(stopped.path))
    assert info.complete and not info.accepted and list(info.problems) == list(stopped.problems)


def test_discards_rerecords_and_numbers_what_it_keeps(operator: Operator) -> None:
    operator.await_ready()
    operator.start("first task")
    operator.await_messages(20)
    again = operator.trigger("rerecord_episode")
    assert again.success and "first task" in again.message
    operator.await_messages(20)
    kept = operator.stop(StopEpisode.Request.FAILED)
    operator.await_ready()
    operator.start("second task")
    operator.await_messages(20)
    assert operator.trigger("discard_episode").success
    (only,) = operator.directory.iterdir()
    assert str(only) == kept.path and only.name.endswith("_001")
    info = read_episode(only)
    assert (info.task, info.outcome) == ("first task", Outcome.FAILED)
    assert operator.await_status(lambda s: s.state == s.IDLE, "idle").episodes_kept == 1


def test_an_instruction_set_in_mid_episode_is_kept_with_its_time(operator: Operator) -> None:
    operator.await_ready()
    operator.start()
    operator.await_messages(30)
    assert operator.instruct("left sleeve").success
    status = operator.await_messages(60)
    assert (status.task, status.instruction) == ("fold the shirt", "left sleeve")
    info = read_episode(Path(operator.stop().path))
    first, second = info.instructions
    assert (first.text, second.text) == ("fold the shirt", "left sleeve")
    assert info.start_ns == first.stamp_ns < second.stamp_ns < info.end_ns


def test_published_instructions_are_recorded_and_the_newest_one_is_in_force(
    ros: Graph, operator: Operator
) -> None:
    planner = ros.publisher(InstructionMessage, "instruction", LATCHED_QOS)
    person = ros.publisher(InstructionMessage, "instruction", LATCHED_QOS)

    def publish(publisher: Any, text: str, stamp_ns: int) -> None:
        message = InstructionMessage(text=text, source=InstructionMessage.PLANNER, id=text)
        message.header.stamp = time_message(stamp_ns)
        publisher.publish(message)

    def in_force(text: str) -> Any:
        return operator.await_status(lambda s: s.instruction == text, f"{text!r} in force")

    now_ns = ros.node.get_clock().now().nanoseconds
    publish(planner, "open the drawer", now_ns - 10**9)
    in_force("open the drawer")
    publish(person, "too old", now_ns - 2 * 10**9)
    operator.await_ready()
    assert operator.status.instruction == "open the drawer"
    operator.start()
    in_force("fold the shirt")  # the task was given last
    publish(planner, "take the sleeve", ros.node.get_clock().now().nanoseconds)
    in_force("take the sleeve")
    operator.instruct("let go")
    in_force("let go")
    path = Path(operator.stop().path)
    with Reader(path) as reader:
        found = [d for c, _, d in reader.messages() if c.topic == "/instruction"]
    texts = [deserialize_message(data, InstructionMessage).text for data in found]
    assert texts == ["open the drawer", "take the sleeve"]
    (topic,) = (t for t in read_episode(path).topics if t.source == "instruction")
    assert (topic.role, topic.written, topic.missed) == ("instruction", 2, 0)


def test_refuses_what_cannot_be_done_now(operator: Operator) -> None:
    operator.await_ready()
    for answer in (
        operator.stop(),
        operator.trigger("discard_episode"),
        operator.trigger("rerecord_episode"),
        operator.instruct("left sleeve"),
    ):
        assert (answer.success, answer.message) == (
            False,
            "no episode is being recorded; start one first",
        )
    assert operator.start("  ").message == "the task is empty; say what the robot is to do"
    operator.start()
    assert "already" not in operator.start().message
    assert operator.start().message.startswith("an episode is being recorded")
    assert "outcome is 7" in operator.stop(7).message
    assert operator.stop().success


def test_deactivating_keeps_the_episode_that_runs(ros: Graph, operator: Operator) -> None:
    operator.await_ready()
    path = Path(operator.start().path)
    operator.await_messages(50)
    recorder = ros._nodes[-1]
    recorder.trigger_deactivate()
    assert read_episode(path).outcome is Outcome.UNMARKED


def test_a_receiver_that_fails_ends_the_episode_as_failed_and_the_status_says_why(
    ros: Graph, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.await_ready()
    operator.start()
    operator.await_messages(20)
    recorder = ros._nodes[-1]

    def fail(*_: object) -> None:
        raise SystemError("no info")

    monkeypatch.setattr(recorder._streams, "_receive", fail)
    status = operator.await_status(lambda s: s.state == s.FAILED, "the failure")
    assert "receiving failed: SystemError('no info')" in status.reason and not status.ready
    info = read_episode(Path(status.episode_path))
    assert info.outcome is Outcome.FAILED and not info.complete
    assert info.reason.startswith("receiving failed")
    assert operator.start().message.startswith("not ready: receiving failed")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"embodiment": "ur55e"}, "ur5e"),
        ({"queue_mb": 1}, "queue_mb is 1; give megabytes, at least 16"),
        ({"extra_topics": "depth"}, "extra_topics has 'depth'; give NAME TYPE"),
        ({"extra_topics": f"{CAMERA} sensor_msgs/msg/Image"}, f"{CAMERA}, which is recorded"),
        ({"directory": "/proc/nothing"}, "cannot be made"),
    ],
)
def test_bad_parameters_fail_configure(
    ros: Graph, tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    node = ros.add(Recorder, {"embodiment": "ur5e", "directory": str(tmp_path), **parameters})
    assert message in node.failure


def test_beside_a_simulation_the_bag_is_on_its_clock(ros: Graph, tmp_path: Path) -> None:
    sensors = Sensors(ros, simulated=True)
    operator = Operator(ros, tmp_path)
    parameters = {"embodiment": "ur5e", "directory": str(tmp_path), "reserve_mb": 1}
    ros.add(Recorder, {**parameters, "use_sim_time": True})
    operator.await_ready()
    operator.start()
    operator.await_messages(30)
    stopped = operator.stop()
    sensors.close()
    info = read_episode(Path(stopped.path))
    assert 100e9 < info.start_ns < info.end_ns < 200e9
    assert not any("clock" in problem for problem in info.problems), info.problems
    with Reader(Path(stopped.path)) as reader:
        assert all(100e9 < time_ns < 200e9 for _, time_ns, _ in reader.messages())


def test_waits_for_extra_topics_and_records_them_in_its_namespace(
    ros: Graph, tmp_path: Path
) -> None:
    parameters = {
        "embodiment": "ur5e",
        "directory": str(tmp_path),
        "extra_topics": "depth/image sensor_msgs/msg/Image, /tf_static sensor_msgs/msg/JointState",
    }
    node = ros.add(Recorder, parameters, namespace="cell")
    assert node.failure is None
    names = [state.name for state in node._streams.states]
    assert names[0] == f"/cell/{CAMERA}"
    assert names[-2:] == ["/cell/depth/image", "/tf_static"]
    assert "depth/image: no publisher" in node.session.obstacles()


def test_without_commands_being_required_their_silence_is_no_fault(
    ros: Graph, sensors: Sensors, tmp_path: Path
) -> None:
    sensors.silent.update(controller.topic for controller in UR5E.controllers)
    operator = Operator(ros, tmp_path)
    parameters = {"embodiment": "ur5e", "directory": str(tmp_path), "reserve_mb": 1}
    ros.add(Recorder, {**parameters, "require_commands": False})
    operator.await_ready()
    operator.start()
    operator.await_messages(20)
    assert not any(ARM in problem for problem in operator.stop().problems)
