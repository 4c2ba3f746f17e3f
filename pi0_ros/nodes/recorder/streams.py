"""Receive every topic of an episode as raw bytes.

No executor spins the node of the subscriptions; a separate thread polls them a few times per frame.
This costs less than waking an executor for each message. It also provides the receipt time, the
publish time and the publisher's sequence number of each message, which reveals messages that never
arrived. The EventsExecutor of Jazzy cannot provide these (it raises SystemError if a callback takes
the message info).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from pi0_ros.messages import message_class
from pi0_ros.nodes.recorder.instruction_topic import NewestInstruction
from pi0_ros.recording.episode_recording import EpisodeRecording
from pi0_ros.recording.metadata import Offered
from pi0_ros.recording.streams import StreamState
from pi0_ros.recording.topics import EpisodeTopic, Role

_PERIOD_S = 0.005
# The middleware buffers this much of a stream while this process cannot run.
_BUFFERED_S = 2.0
# Minimum queue depth for topics with large messages, and the depth for all other topics.
_LEAST_DEPTH = 60
_SMALL_DEPTH = 2000
# Messages taken from one topic before the next topic is polled.
_BATCH = 100
# A larger step in the sequence numbers means another publisher.
_LARGEST_GAP = 100_000


class RawStreams:
    """Subscribes to ``topics``, whose names ``node`` resolves.

    QoS follows the publishers: a subscription is reliable or latched only if all publishers are.
    Call :meth:`match_publishers` regularly, because publishers come and go. ``fault`` says why no
    more messages can be received; it is empty without a fault.
    """

    def __init__(self, node: Node, topics: Sequence[EpisodeTopic]) -> None:
        self.fault = ""
        self._logger = node.get_logger()
        self._clock = node.get_clock()
        self._on_sim_time = bool(node.get_parameter("use_sim_time").value)
        self.states = tuple(StreamState(t, node.resolve_topic_name(t.name)) for t in topics)
        self.instruction = NewestInstruction(node)
        self._recording: EpisodeRecording | None = None
        self._lock = threading.Lock()
        self._sequence: list[int | None] = [None] * len(topics)
        self._latched: list[bytes | None] = [None] * len(topics)
        self._node = Node(
            f"_{node.get_name()}_streams",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._subscriptions = [self._subscribe(state) for state in self.states]
        self._open = True
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()

    def deliver_to(self, recording: EpisodeRecording | None) -> None:
        """Offer messages to this episode from now on, starting with the latched ones."""
        with self._lock:
            self._drain()  # messages received before now belong to the previous episode
            self._recording = recording
            self._sequence = [None] * len(self.states)
            if recording is not None:
                start_ns = recording.info.start_ns
                for i, data in enumerate(self._latched):
                    if data is not None:
                        recording.offer(i, start_ns, start_ns, 0, data)

    def match_publishers(self) -> None:
        """Read the publishers of each topic, and subscribe again where the QoS has to change."""
        for i, state in enumerate(self.states):
            profiles = [
                info.qos_profile for info in self._node.get_publishers_info_by_topic(state.name)
            ]
            state.publishers = len(profiles)
            offered = tuple(dict.fromkeys(_offered(profile) for profile in profiles))
            if not offered or offered == state.offered:
                continue
            before = _wanted(state)
            state.offered = offered
            if _wanted(state) != before:
                with self._lock:
                    self._node.destroy_subscription(self._subscriptions[i])
                    self._subscriptions[i] = self._subscribe(state)

    def close(self) -> None:
        """Stop receiving."""
        self._open = False
        self._thread.join()
        self._node.destroy_node()

    def _subscribe(self, state: StreamState) -> Any:
        return self._node.create_subscription(
            message_class(state.topic.type), state.name, _unused, _wanted(state), raw=True
        )

    def _run(self) -> None:
        while self._open and not self.fault:
            with self._lock:
                self._drain()
            time.sleep(_PERIOD_S)

    def _drain(self) -> None:
        if self.fault:
            return
        try:
            self._take_all()
        except (
            Exception
        ) as error:  # after any error, the episode must not continue without messages
            self.fault = f"receiving failed: {error!r}; deactivate and activate the recorder"
            self._logger.error(self.fault)

    def _take_all(self) -> None:
        for i, subscription in enumerate(self._subscriptions):
            handle, kind = subscription.handle, subscription.msg_type
            state = self.states[i]
            for _ in range(_BATCH):
                taken = handle.take_message(kind, True)
                if taken is None:
                    break
                self._receive(i, state, *taken)

    def _receive(self, i: int, state: StreamState, data: bytes, info: dict[str, Any]) -> None:
        state.count += 1
        state.last_s = time.monotonic()
        newest = state.topic.role is not Role.INSTRUCTION or self.instruction.add(data)
        if newest and subscription_is_latched(state):
            self._latched[i] = data
        recording = self._recording
        if recording is None:
            return
        received_ns, sent_ns = info["received_timestamp"], info["source_timestamp"]
        if self._on_sim_time or not received_ns:  # the middleware stamps with the wall clock
            received_ns = sent_ns = self._clock.now().nanoseconds
        sequence = info["publication_sequence_number"] or 0
        last = self._sequence[i]
        if last is not None and state.publishers == 1 and 1 < sequence - last < _LARGEST_GAP:
            recording.queue.missed[i] += sequence - last - 1
        self._sequence[i] = sequence
        recording.offer(i, received_ns, sent_ns or received_ns, sequence, data)


def subscription_is_latched(state: StreamState) -> bool:
    """Whether all publishers are latched, so that a late subscriber gets their last messages."""
    return bool(state.offered) and all(offered.latched for offered in state.offered)


def _wanted(state: StreamState) -> QoSProfile:
    reliable = bool(state.offered) and all(offered.reliable for offered in state.offered)
    latched = subscription_is_latched(state)
    large = state.topic.role in (Role.CAMERA, Role.EXTRA)
    depth = max(_LEAST_DEPTH, math.ceil(_BUFFERED_S * state.topic.expected_hz))
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth if large else _SMALL_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _offered(profile: QoSProfile) -> Offered:
    return Offered(
        reliable=profile.reliability is ReliabilityPolicy.RELIABLE,
        latched=profile.durability is DurabilityPolicy.TRANSIENT_LOCAL,
        depth=profile.depth or 10,
    )


def _unused(message: bytes) -> None:
    """A callback that is never called, because no executor spins the node."""
