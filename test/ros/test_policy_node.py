"""The policy node: loading, inference, and their failures."""

from __future__ import annotations

import array
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import Graph
from policy_rig import UR5E, Blocked, PolicyRig

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_msgs.msg import Observation as ObservationMessage
from pi0_ros.checkpoint import create_untrained
from pi0_ros.embodiment import CAMERA_SLOTS
from pi0_ros.nodes.diagnostics import ERROR
from pi0_ros.nodes.managed import COMMAND_QOS
from pi0_ros.nodes.policy.node import PolicyNode
from pi0_ros.stamps import nanoseconds


@pytest.fixture
def rig(ros: Graph) -> PolicyRig:
    return PolicyRig(ros)


def test_a_chunk_carries_names_times_and_origin(rig: PolicyRig) -> None:
    before_ns = rig.now_ns()
    chunk = rig.first_chunk()
    assert list(chunk.action_names) == list(UR5E.action_names)
    assert chunk.horizon == 50
    assert list(chunk.data[:8]) == list(range(8))
    assert len(chunk.data) == 350
    assert (chunk.step_duration.sec, chunk.step_duration.nanosec) == (0, 50_000_000)
    assert (chunk.sequence, chunk.frozen_prefix) == (0, 0)
    assert (chunk.embodiment, chunk.checkpoint_id) == ("ur5e", "scripted@0")
    assert chunk.prompt == "fold the towel"
    assert chunk.source_id.startswith("/policy:")
    assert dict(zip(chunk.stage_names, chunk.stage_ms, strict=True)) == {"denoise": 1, "total": 3}
    observed_ns = nanoseconds(chunk.observation_stamp)
    assert before_ns <= observed_ns <= nanoseconds(chunk.header.stamp) <= rig.now_ns()


def test_infers_again_when_the_execution_steps_are_consumed(rig: PolicyRig) -> None:
    rig.first_chunk()
    rig.report(UR5E.rates.execution_steps)
    rig.observe_until(lambda: len(rig.chunks) == 2, "a second chunk")
    assert [chunk.sequence for chunk in rig.chunks] == [0, 1]


def test_a_backend_that_can_is_told_what_is_left_of_the_chunk_being_executed(ros: Graph) -> None:
    rig = PolicyRig(ros, can_continue=True)
    first = rig.first_chunk()
    second = rig.next_chunk()
    steps = UR5E.rates.execution_steps
    remaining = rig.backend.remaining_seen[1]
    assert rig.backend.remaining_seen[0] is None
    assert remaining is not None
    rows = np.array(first.data, dtype=np.float32).reshape(50, 7)[steps:]
    np.testing.assert_array_equal(remaining.actions, rows)
    assert second.frozen_prefix == remaining.delay == steps // 2
    shift_ns = nanoseconds(second.header.stamp) - nanoseconds(first.header.stamp)
    assert shift_ns == steps * 50_000_000


def test_a_chunk_of_another_source_being_executed_is_not_continued(ros: Graph) -> None:
    rig = PolicyRig(ros, can_continue=True)
    rig.first_chunk()
    rig.report(3)
    rig.report(UR5E.rates.execution_steps, source_id="/another:1")
    rig.observe_until(lambda: len(rig.chunks) == 2, "a second chunk")
    assert rig.backend.remaining_seen == [None, None]
    assert rig.chunks[1].frozen_prefix == 0


def test_does_not_infer_while_the_chunk_is_being_executed(ros: Graph) -> None:
    rig = PolicyRig(ros)
    tracker = rig.node._source.strategy._tracker
    rig.first_chunk()
    # The start must be seen before the next status is published.
    rig.report(UR5E.rates.execution_steps - 1)
    ros.spin_until(lambda: tracker.current, what="the start of the chunk")
    stamps = {nanoseconds(rig.observe().header.stamp)}
    ros.spin_until(lambda: rig.node._newest is not None, what="an observation kept")
    ros.spin_some()
    assert len(rig.backend.seen) == 1
    rig.report(UR5E.rates.execution_steps)
    ros.spin_until(lambda: len(rig.chunks) == 2, what="a second chunk, on what was kept")
    assert {nanoseconds(rig.chunks[1].observation_stamp)} == stamps


def test_uses_each_observation_once(rig: PolicyRig) -> None:
    rig.first_chunk()
    rig.report(0)
    rig.report(0, state=ExecutorStatus.HOLDING)
    rig.observe_until(lambda: len(rig.chunks) >= 2, "a second chunk")
    stamps = [nanoseconds(chunk.observation_stamp) for chunk in rig.chunks]
    assert len(set(stamps)) == len(stamps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embodiment": "franka"}, "embodiment franka, this policy expects ur5e"),
        ({"state_names": [f"joint_{i}" for i in range(7)]}, "state_names"),
        ({"slots": list(CAMERA_SLOTS[::-1])}, "slots"),
        ({"slot_mask": [True, True, True]}, "slot_mask"),
        ({"height": 96}, "height 96, this policy expects 14"),
        ({"pixels": array.array("B", bytes(3))}, "3 bytes of pixels, 1176 expected"),
        ({"state": [0.0] * 6 + [float("nan")]}, "one finite number per name"),
        ({"state": [0.0] * 6}, "one finite number per name"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refuses_an_observation_that_differs_from_the_embodiment(
    rig: PolicyRig, changes: dict[str, Any], message: str
) -> None:
    report = rig.node._report
    rig.observe_until(lambda: report.refusals >= 2, "two refusals", **changes)
    level, text, values = rig.node._read_diagnostics()
    assert level == ERROR
    assert message in text
    assert int(values["observations_refused"]) >= 2
    assert rig.backend.seen == []


def test_a_failed_inference_is_counted_and_the_next_one_goes_on(rig: PolicyRig) -> None:
    def fail() -> None:
        raise RuntimeError("out of memory")

    rig.backend.answer = fail
    rig.observe_until(lambda: rig.node._report.failures >= 2, "two failures")
    assert rig.node._read_diagnostics()[:2] == (ERROR, "inference failed: out of memory")
    assert rig.chunks == []
    rig.backend.answer = lambda: None
    assert rig.first_chunk().sequence == 0


def test_callbacks_go_on_during_an_inference(rig: PolicyRig) -> None:
    rig.backend.answer = blocked = Blocked()
    rig.observe_until(blocked.begun.is_set, "an inference")
    rig.say("said meanwhile")
    instructions = rig.node._instructions
    rig.ros.spin_until(lambda: instructions.text == "said meanwhile", what="the prompt")
    assert rig.chunks == []
    blocked.go_on.set()
    rig.ros.spin_until(lambda: rig.chunks, what="the chunk")
    assert rig.chunks[0].prompt == "fold the towel"


def test_deactivate_drops_the_inference_that_is_running(rig: PolicyRig) -> None:
    rig.backend.answer = blocked = Blocked()
    rig.observe_until(blocked.begun.is_set, "an inference")
    rig.node.trigger_deactivate()
    rig.node.trigger_activate()
    rig.backend.answer = lambda: None
    blocked.go_on.set()
    chunk = rig.first_chunk()
    # The first published chunk belongs to the new activation, not to the earlier inference.
    assert nanoseconds(chunk.observation_stamp) > rig.backend.seen[0].stamp_ns
    assert chunk.sequence == 0


def test_sequences_go_on_over_activations_so_that_no_chunk_is_taken_for_an_old_one(
    rig: PolicyRig,
) -> None:
    rig.first_chunk()
    rig.node.trigger_deactivate()
    rig.node.trigger_activate()
    rig.observe_until(lambda: len(rig.chunks) >= 2, "a chunk of the second activation")
    assert [chunk.sequence for chunk in rig.chunks[:2]] == [0, 1]


def test_cleanup_ends_the_inference_thread(rig: PolicyRig) -> None:
    rig.first_chunk()
    rig.node.trigger_deactivate()
    rig.node.trigger_cleanup()
    assert "inference" not in {thread.name for thread in threading.enumerate()}


def test_two_nodes_have_two_source_ids(ros: Graph) -> None:
    one, other = (PolicyNode() for _ in range(2))
    assert one._source.source_id != other._source.source_id
    one.destroy_node()
    other.destroy_node()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("policy_node") / "ur5e"
    create_untrained(directory, UR5E)
    return directory


@pytest.fixture(scope="module")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("policy_node") / "ur5e_small"
    create_untrained(directory, UR5E, config="small_tiny")
    return directory


@pytest.mark.parametrize(
    ("folder", "kind"), [("checkpoint", "tiny"), ("small_checkpoint", "small_tiny")]
)
def test_a_real_checkpoint_drives_and_says_it_is_untrained(
    ros: Graph, folder: str, kind: str, request: pytest.FixtureRequest
) -> None:
    checkpoint = request.getfixturevalue(folder)
    heard = ros.collect(DiagnosticArray, "/diagnostics", COMMAND_QOS)
    chunks = ros.collect(ActionChunk, "action_chunk", COMMAND_QOS)
    observations = ros.publisher(ObservationMessage, "observation", COMMAND_QOS)
    parameters = {"embodiment": "ur5e", "checkpoint": str(checkpoint), "num_steps": 2}
    node = ros.add(PolicyNode, parameters | {"prompt": "fold the towel", "seed": 0})
    assert node.failure is None
    message = ObservationMessage(
        embodiment="ur5e", slots=list(CAMERA_SLOTS), slot_mask=list(UR5E.slot_mask)
    )
    message.height = message.width = 224
    message.pixels = array.array("B", bytes(2 * 224 * 224 * 3))
    message.state_names, message.state = list(UR5E.state_names), [0.0] * 7
    message.header.stamp = node.get_clock().now().to_msg()

    def observed() -> bool:
        observations.publish(message)
        ros.spin_some()
        return bool(chunks)

    ros.spin_until(observed, what="a chunk")
    assert chunks[0].checkpoint_id.startswith(f"ur5e-{kind}-untrained@")
    assert list(chunks[0].stage_names)[-1] == "total"
    assert np.isfinite(chunks[0].data).all()
    ros.spin_until(lambda: heard, what="diagnostics")
    values = {pair.key: pair.value for pair in heard[-1].status[0].values}
    assert values["trained"] == "false"
    assert values["prompt"] == "fold the towel"


def test_a_checkpoint_of_another_embodiment_fails_configure(ros: Graph, checkpoint: Path) -> None:
    node = ros.add(PolicyNode, {"embodiment": "bimanual_trossen", "checkpoint": str(checkpoint)})
    assert "does not fit bimanual_trossen" in node.failure
    assert "50 Hz" in node.failure


def test_a_missing_checkpoint_fails_configure(ros: Graph, tmp_path: Path) -> None:
    node = ros.add(PolicyNode, {"embodiment": "ur5e", "checkpoint": str(tmp_path / "nothing")})
    assert str(tmp_path / "nothing") in node.failure


def test_no_checkpoint_fails_configure(ros: Graph) -> None:
    node = ros.add(PolicyNode, {"embodiment": "ur5e"})
    assert node.failure == "checkpoint is empty; give the folder of a checkpoint"


def test_a_bad_number_of_steps_fails_configure(ros: Graph, checkpoint: Path) -> None:
    parameters = {"embodiment": "ur5e", "checkpoint": str(checkpoint), "num_steps": 0}
    assert ros.add(PolicyNode, parameters).failure.startswith("num_steps is 0")
