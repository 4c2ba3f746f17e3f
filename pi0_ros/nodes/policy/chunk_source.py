"""Publishes the policy's chunks when and where its chunk strategy decides.

It is thread-safe: callbacks report and request, and the inference thread delivers.
"""

from __future__ import annotations

import array
import threading
import uuid
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_ros.embodiment import Embodiment
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS
from pi0_ros.nodes.time_messages import duration_message, time_message
from pi0_ros.policy.options import RtcOptions
from pi0_ros.policy.policy import Policy
from pi0_ros.policy.strategy import (
    ChunkTiming,
    ExecutorProgress,
    InferenceRequest,
    PlacedChunk,
    RealTimeChunking,
    StrategyChoice,
    choose,
    option_defaults,
    strategies,
)
from pi0_ros.policy.types import Chunk, Observation
from pi0_ros.stamps import NS_PER_S, nanoseconds


class ChunkSource:
    """Publishes on ``action_chunk`` for ``node`` and listens to ``executor_status``.

    One per node, which calls :meth:`configure` and :meth:`listen` in ``setup``. Parameters:
    ``strategy``, and the options of every strategy of the table.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        choices = (f"{name} ({kind.description})" for name, kind in strategies().items())
        text = f"one of {', '.join(choices)}; empty: the best that the checkpoint can"
        node.declare_parameter("strategy", "", _described(text))
        for name, (default, description) in option_defaults().items():
            node.declare_parameter(name, default, _described(description))
        self.source_id = f"{node.get_fully_qualified_name()}:{uuid.uuid4().hex[:8]}"
        self._lock = threading.Lock()
        self._sequence = 0  # it never restarts, because the executor refuses a lower one
        self._active = False

    def choice(self) -> StrategyChoice:
        """The choice that the parameters make. Raises PolicyError for a bad one."""
        values = {name: self._node.get_parameter(name).value for name in option_defaults()}
        return choose(self._node.get_parameter("strategy").value, values)

    def continuing(self) -> RtcOptions | None:
        """How the strategy may continue chunks; None if the parameters exclude it."""
        choice, rtc = self.choice(), RealTimeChunking
        options: RtcOptions = choice.options_of(rtc)
        needs_it = not choice.name or strategies()[choice.name].needs_continuation
        return options if needs_it else None

    def configure(self, embodiment: Embodiment, policy: Policy) -> None:
        """Choose the strategy and create the topic. Raises PolicyError as :meth:`check`."""
        self._embodiment = embodiment
        rates = embodiment.rates
        timing = ChunkTiming(
            horizon=rates.horizon,
            execution_steps=rates.execution_steps,
            step_ns=round(rates.step_duration_s * NS_PER_S),
            start_timeout_ns=round(embodiment.sync.observation_timeout_s * NS_PER_S),
        )
        choice = self.choice()
        self.strategy = choice.make(timing, can_continue=policy.can_continue)
        self._timing = timing
        if not choice.name and not policy.can_continue:
            self._node.get_logger().info(
                f"strategy: {self.strategy.name}, {policy.checkpoint_id} cannot continue a chunk"
            )
        self._publisher = self._node.create_publisher(ActionChunk, "action_chunk", COMMAND_QOS)

    def listen(self, on_progress: Any) -> None:
        """Subscribe to ``executor_status``; ``on_progress()`` is called after each message."""

        def on_status(message: Any) -> None:
            self._report(message)
            on_progress()

        self._node.create_subscription(ExecutorStatus, "executor_status", on_status, LATCHED_QOS)

    def check(self, policy: Policy) -> None:
        """Raises PolicyError for a policy that cannot follow the chosen strategy."""
        self.choice().make(self._timing, can_continue=policy.can_continue)

    @property
    def active(self) -> bool:
        """Whether chunks are published."""
        return self._active

    def start(self) -> None:
        """Publish from now on. Sequences continue; the result of a running inference is dropped."""
        with self._lock:
            self.strategy.restart()
            self._active = True

    def stop(self) -> None:
        """Stop publishing."""
        with self._lock:
            self._active = False

    def request(self, prompt: str, policy: Policy) -> InferenceRequest | None:
        """The request for the next inference, or None while no chunk is due."""
        with self._lock:
            return self.strategy.request(
                self._now_ns(),
                prompt=prompt,
                checkpoint_id=policy.checkpoint_id,
                can_continue=policy.can_continue,
            )

    def deliver(self, chunk: Chunk, observation: Observation, request: InferenceRequest) -> bool:
        """Publish a chunk and return true; return false for one that came too late."""
        with self._lock:
            if not self._active:
                return False
            placed = self.strategy.place(request, chunk.actions, self._now_ns(), self._sequence)
            if placed is None:
                return False
            self._publisher.publish(self._message(chunk, observation, request, placed))
            self._sequence += 1
            return True

    def values(self) -> dict[str, str]:
        """Diagnostics of the strategy."""
        with self._lock:
            return self.strategy.values()

    def _report(self, message: Any) -> None:
        executing = message.state == ExecutorStatus.EXECUTING
        with self._lock:
            self.strategy.report(
                ExecutorProgress(
                    stamp_ns=nanoseconds(message.header.stamp),
                    executing=executing and message.source_id == self.source_id,
                    chunk_sequence=message.chunk_sequence,
                    chunk_step=message.chunk_step,
                    steps_consumed=message.steps_consumed,
                    chunks_refused=message.chunks_refused,
                )
            )

    def _message(
        self, chunk: Chunk, observation: Observation, request: InferenceRequest, placed: PlacedChunk
    ) -> ActionChunk:
        step_ns = self._timing.step_ns
        message = ActionChunk(
            step_duration=duration_message(step_ns),
            action_names=list(self._embodiment.action_names),
            horizon=placed.actions.shape[0],
            data=array.array("f", placed.actions.tobytes()),
            frozen_prefix=placed.frozen_prefix,
            observation_stamp=time_message(observation.stamp_ns),
            sequence=self._sequence,
            source_id=self.source_id,
            embodiment=self._embodiment.name,
            checkpoint_id=request.checkpoint_id,
            prompt=request.prompt,
            stage_names=list(chunk.stage_names),
            stage_ms=list(chunk.stage_ms),
        )
        message.header.stamp = time_message(placed.stamp_ns)
        return message

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def _described(text: str) -> ParameterDescriptor:
    return ParameterDescriptor(description=text)
