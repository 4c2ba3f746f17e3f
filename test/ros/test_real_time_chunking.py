"""The policy and the executor with a real checkpoint in simulated time; the test sets the clock."""

from __future__ import annotations

import array
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from harness import Graph
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_msgs.msg import Observation as ObservationMessage
from pi0_msgs.srv import LoadCheckpoint
from pi0_ros.checkpoint import create_untrained
from pi0_ros.embodiment import CAMERA_SLOTS, Embodiment, load
from pi0_ros.messages import message_class
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS
from pi0_ros.nodes.observations import time_message
from pi0_ros.nodes.policy.node import PolicyNode
from pi0_ros.policy.policy import Policy
from pi0_ros.policy.types import Chunk, Observation, RemainingActions
from pi0_ros.stamps import nanoseconds

UR5E = load("ur5e")
STEP_NS = round(1e9 / UR5E.rates.chunk_hz)
TICK_NS = round(1e9 / UR5E.rates.control_hz)
GUESS = UR5E.rates.execution_steps // 2


class Held:
    """A policy whose answers wait for the test."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        self.begun.set()
        assert self.go_on.wait(60.0)
        self.go_on.clear()
        return self._policy.infer(observation, remaining)


class Robot:
    """Both nodes, with sensors and a clock that the test advances."""

    def __init__(self, ros: Graph, checkpoint: Path, **parameters: Any) -> None:
        self.ros = ros
        self.held: list[Held] = []
        held = self.held

        class Node(PolicyNode):
            def load_policy(self, embodiment: Embodiment, checkpoint: str) -> Policy:
                held.append(Held(super().load_policy(embodiment, checkpoint)))
                return held[-1]

        self.now_ns = 10**10
        self._clock = ros.publisher(Clock, "/clock", 1)
        self._joints = {
            topic: ros.publisher(JointState, topic, SENSOR_QOS)
            for topic in {d.topic for d in UR5E.state}
        }
        self._observation = ros.publisher(ObservationMessage, "observation", COMMAND_QOS)
        self._prompt = ros.publisher(String, "prompt", LATCHED_QOS)
        self.chunks = ros.collect(ActionChunk, "action_chunk", COMMAND_QOS)
        self.statuses = ros.collect(ExecutorStatus, "executor_status", LATCHED_QOS)
        for controller in UR5E.controllers:  # the executor only moves joints with a listener
            kind = message_class(controller.message_type)
            ros.collect(kind, controller.topic, COMMAND_QOS)
        common = {"embodiment": "ur5e", "use_sim_time": True}
        self.executor = ros.add(ChunkExecutor, common)
        policy = {"checkpoint": str(checkpoint), "prompt": "fold", "num_steps": 2, "seed": 0}
        self.policy = ros.add(Node, common | policy | parameters)
        assert self.policy.failure is None, self.policy.failure
        inputs = (self._clock, self._observation, *self._joints.values())
        ros.spin_until(
            lambda: (
                all(p.get_subscription_count() for p in inputs)
                and self.policy.count_publishers("executor_status")
                and self._clock.get_subscription_count() == 2
            ),
            what="the topics are connected",
        )

    def tick(self) -> ExecutorStatus:
        """Advance by 20 ms; wait for the executor's tick and until the policy has its status."""
        self.now_ns += TICK_NS
        for topic, publisher in self._joints.items():
            dims = [d for d in UR5E.state if d.topic == topic]
            message = JointState(name=[d.joint for d in dims])
            message.position = [-d.offset / d.scale for d in dims]
            publisher.publish(message)
        if self.now_ns // TICK_NS % 4 == 0:  # at 12.5 Hz, because the images take time to send
            self._observe()
            self.ros.spin_until(self._observed, what="the observation")
        before = len(self.statuses)
        self._clock.publish(Clock(clock=time_message(self.now_ns)))
        self.ros.spin_until(
            lambda: len(self.statuses) > before and self._reported(), what="the tick"
        )
        return self.statuses[-1]

    def _reported(self) -> bool:
        """Whether the policy received the status of this tick."""
        return self.policy._source.strategy._tracker.reported_ns == self.now_ns

    def _observed(self) -> bool:
        """Whether the policy has this observation or already infers on it."""
        newest = self.policy._newest
        return self.policy._worker.busy or (newest is not None and newest.stamp_ns == self.now_ns)

    def next_chunk(self, delay_ticks: int) -> Any:
        """The next chunk, whose inference lasts so many ticks."""
        held, count = self.held[-1], len(self.chunks)
        for _ in range(200):
            while self.policy._worker.busy and not held.begun.wait(0.05):
                pass  # no time passes while the inference thread is kept from running
            if held.begun.is_set():
                break
            self.tick()
        held.begun.clear()
        for _ in range(delay_ticks):
            self.tick()
        held.go_on.set()
        self.ros.spin_until(lambda: len(self.chunks) > count, what="the chunk")
        self.ros.spin_until(lambda: not self.policy._worker.busy, what="the end of the inference")
        return self.chunks[-1]

    def say(self, prompt: str) -> None:
        self._prompt.publish(String(data=prompt))
        self.ros.spin_until(lambda: self.policy._instructions.text == prompt, what="the prompt")

    def values(self) -> dict[str, str]:
        return self.policy._read_diagnostics()[2]

    def _observe(self) -> None:
        message = ObservationMessage(
            embodiment="ur5e",
            slots=list(CAMERA_SLOTS),
            slot_mask=list(UR5E.slot_mask),
            height=224,
            width=224,
            pixels=array.array("B", bytes(2 * 224 * 224 * 3)),
            state_names=list(UR5E.state_names),
            state=[0.0] * len(UR5E.state),
        )
        message.header.stamp = time_message(self.now_ns)
        self._observation.publish(message)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("rtc")
    for seed in (0, 1):
        create_untrained(folder / str(seed), UR5E, seed=seed)
    return [folder / "0", folder / "1"]


# It fails now and then after many other tests in one process: not understood yet.
@pytest.mark.flaky(reruns=4)
def test_chunks_continue_each_other_until_the_prompt_or_the_checkpoint_changes(
    ros: Graph, checkpoints: list[Path]
) -> None:
    robot = Robot(ros, checkpoints[0])
    # 7 steps of 50 ms begin in 17 ticks of 20 ms. The first inference is longer.
    chunks = [robot.next_chunk(30), *(robot.next_chunk(17) for _ in range(3))]
    assert [c.frozen_prefix for c in chunks] == [0, GUESS, 7, 7]
    for before, after in pairwise(chunks):
        shift_ns = nanoseconds(after.header.stamp) - nanoseconds(before.header.stamp)
        assert shift_ns == UR5E.rates.execution_steps * STEP_NS
    first = next(s for s in robot.statuses if s.state == ExecutorStatus.EXECUTING)
    assert (first.chunk_sequence, first.chunk_step) == (0, 0)
    assert first.source_id == chunks[0].source_id
    values = robot.values()
    assert values["strategy"] == "rtc"
    assert values["delays_measured_steps"] == "7 7"
    assert values["delay_used_steps"] == "7"

    robot.say("unfold")
    changed = robot.next_chunk(17)
    assert (changed.prompt, changed.frozen_prefix) == ("unfold", 0)
    assert nanoseconds(changed.header.stamp) == robot.now_ns
    assert robot.next_chunk(17).frozen_prefix == 7

    request = LoadCheckpoint.Request(path=str(checkpoints[1]))
    answer = ros.call(LoadCheckpoint, "/policy/load_checkpoint", request, 60.0)
    assert answer.success, answer.message
    swapped, after = robot.next_chunk(17), robot.next_chunk(17)
    assert [c.frozen_prefix for c in (swapped, after)] == [0, 7]
    assert {c.checkpoint_id for c in (swapped, after)} == {answer.checkpoint_id}
    assert robot.statuses[-1].underruns == 0
    assert robot.statuses[-1].chunks_refused == 0
    assert robot.values()["without guidance: the prompt or the checkpoint changed"] == "2"


def test_rtc_with_a_checkpoint_that_cannot_is_refused_at_configure(
    ros: Graph, tmp_path: Path
) -> None:
    create_untrained(tmp_path, UR5E, config="small_tiny")
    parameters = {"embodiment": "ur5e", "checkpoint": str(tmp_path), "num_steps": 2}
    node = ros.add(PolicyNode, parameters | {"strategy": "rtc"})
    assert "strategy is 'rtc' and this policy cannot continue a chunk" in node.failure
    other = ros.add(PolicyNode, parameters)
    assert other.failure is None
    assert other._read_diagnostics()[2]["strategy"] == "sequential"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"strategy": "fast"}, "strategy is 'fast'"),
        ({"rtc_mode": "hard"}, "rtc_mode is 'hard'"),
        ({"rtc_max_guidance": 0.0}, "rtc_max_guidance is 0.0"),
        ({"strategy": "temporal_ensemble", "ensemble_decay": -1.0}, "ensemble_decay is -1.0"),
    ],
)
def test_a_bad_parameter_fails_configure_before_anything_is_loaded(
    ros: Graph, parameters: dict[str, Any], message: str
) -> None:
    common = {"embodiment": "ur5e", "checkpoint": "/not/looked/at"}
    assert message in ros.add(PolicyNode, common | parameters).failure
