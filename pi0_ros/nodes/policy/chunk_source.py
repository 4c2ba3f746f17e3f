"""The policy's chunks on their way out: a strategy, what it hears, and what is published.

Thread-safe: callbacks report and begin, the inference thread delivers.
"""

from __future__ import annotations

import array
import threading
import uuid
from typing import Any

from rclpy.node import Node

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_ros.embodiment import Embodiment
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS
from pi0_ros.nodes.time_messages import duration_message, time_message
from pi0_ros.policy import Chunk, Observation, Policy, RtcOptions
from pi0_ros.policy.strategy import (
    Pace,
    Placed,
    Progress,
    RealTimeChunking,
    Start,
    StrategyOptions,
    make_strategy,
)
from pi0_ros.stamps import NS_PER_S, nanoseconds

_DEFAULTS = {
    "strategy": "",
    "rtc_mode": "guided",
    "rtc_schedule": "exp",
    "rtc_max_guidance": 5.0,
    "ensemble_decay": 0.01,
}


class ChunkSource:
    """Publishes on ``action_chunk`` for ``node`` and listens to ``executor_status``.

    Make one per node; :meth:`configure` and :meth:`close` with it. Parameters: ``strategy``,
    ``rtc_mode``, ``rtc_schedule``, ``rtc_max_guidance``, ``ensemble_decay``.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        for name, default in _DEFAULTS.items():
            node.declare_parameter(name, default)
        self.source_id = f"{node.get_fully_qualified_name()}:{uuid.uuid4().hex[:8]}"
        self._lock = threading.Lock()
        self._sequence = 0  # never restarts: the executor refuses one that goes back
        self._active = False
        self._publisher: Any = None
        self._subscription: Any = None

    def options(self) -> StrategyOptions:
        """The parameters. Raises PolicyError for a bad one."""
        values = {name: self._node.get_parameter(name).value for name in _DEFAULTS}
        return StrategyOptions(
            name=values["strategy"],
            rtc=RtcOptions(
                mode=values["rtc_mode"],
                schedule=values["rtc_schedule"],
                max_guidance=values["rtc_max_guidance"],
            ),
            ensemble_decay=values["ensemble_decay"],
        )

    def continuing(self) -> RtcOptions | None:
        """How chunks will be continued, if the backend can and the parameters do not forbid it."""
        options = self.options()
        return options.rtc if options.name in ("", RealTimeChunking.name) else None

    def configure(self, embodiment: Embodiment, policy: Policy) -> None:
        """Choose the strategy and create the topic. Raises PolicyError as :meth:`check`."""
        self._embodiment = embodiment
        rates = embodiment.rates
        pace = Pace(
            horizon=rates.horizon,
            execution_steps=rates.execution_steps,
            step_ns=round(rates.step_duration_s * NS_PER_S),
            uptake_ns=round(embodiment.sync.observation_timeout_s * NS_PER_S),
        )
        options = self.options()
        self.strategy = make_strategy(options, pace, can_continue=policy.can_continue)
        self._pace = pace
        if not options.name and not policy.can_continue:
            self._node.get_logger().info(
                f"strategy: {self.strategy.name}, {policy.checkpoint_id} cannot continue a chunk"
            )
        self._publisher = self._node.create_publisher(ActionChunk, "action_chunk", COMMAND_QOS)

    def listen(self, on_progress: Any) -> None:
        """Follow ``executor_status`` from now on; ``on_progress()`` is called after each."""

        def on_status(message: Any) -> None:
            self._report(message)
            on_progress()

        self._subscription = self._node.create_subscription(
            ExecutorStatus, "executor_status", on_status, LATCHED_QOS
        )

    def close(self) -> None:
        """Destroy the topics, however far :meth:`configure` came."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        if self._publisher is not None:
            self._node.destroy_publisher(self._publisher)
            self._publisher = None

    def check(self, policy: Policy) -> None:
        """Raises PolicyError for a policy that cannot follow the strategy asked for."""
        make_strategy(self.options(), self._pace, can_continue=policy.can_continue)

    @property
    def active(self) -> bool:
        """Whether chunks are published."""
        return self._active

    def start(self) -> None:
        """Publish from now on; sequences go on, what was begun before is dropped."""
        with self._lock:
            self.strategy.restart()
            self._active = True

    def stop(self) -> None:
        """Publish nothing more."""
        with self._lock:
            self._active = False

    def begin(self, prompt: str, policy: Policy) -> Start | None:
        """How to infer now, or None while no chunk is due."""
        with self._lock:
            return self.strategy.begin(
                self._now_ns(),
                prompt=prompt,
                checkpoint_id=policy.checkpoint_id,
                can_continue=policy.can_continue,
            )

    def deliver(self, chunk: Chunk, observation: Observation, start: Start) -> bool:
        """Publish a chunk, unless it came too late for what it was computed for."""
        with self._lock:
            if not self._active:
                return False
            placed = self.strategy.place(start, chunk.actions, self._now_ns(), self._sequence)
            if placed is None:
                return False
            self._publisher.publish(self._message(chunk, observation, start, placed))
            self._sequence += 1
            return True

    def values(self) -> dict[str, str]:
        """What the strategy has to say to an operator."""
        with self._lock:
            return self.strategy.values()

    def _report(self, message: Any) -> None:
        executing = message.state == ExecutorStatus.EXECUTING
        with self._lock:
            self.strategy.report(
                Progress(
                    stamp_ns=nanoseconds(message.header.stamp),
                    executing=executing and message.source_id == self.source_id,
                    chunk_sequence=message.chunk_sequence,
                    chunk_step=message.chunk_step,
                    steps_consumed=message.steps_consumed,
                    chunks_refused=message.chunks_refused,
                )
            )

    def _message(
        self, chunk: Chunk, observation: Observation, start: Start, placed: Placed
    ) -> ActionChunk:
        step_ns = self._pace.step_ns
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
            checkpoint_id=start.checkpoint_id,
            prompt=start.prompt,
            stage_names=list(chunk.stage_names),
            stage_ms=list(chunk.stage_ms),
        )
        message.header.stamp = time_message(placed.stamp_ns)
        return message

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
