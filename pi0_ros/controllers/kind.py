"""What a kind of controller has to say, and the defaults of one that listens on a topic.

Message modules and rclpy are imported inside functions only, because embodiment/ and control/
use this module without ROS.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol

from pi0_ros.arrays import FloatArray
from pi0_ros.controllers.mock import CommandError, MockController
from pi0_ros.controllers.packer import ControllerPacker
from pi0_ros.messages import message_class

__all__ = ["CommandError", "CommandOutput", "CommandWriter", "ControllerKind", "DimensionFacts"]


class StopBehaviour(str, Enum):
    """What a controller's dimensions do when there is nothing to execute."""

    HOLD = "hold"
    RAMP_TO_ZERO = "ramp_to_zero"
    KEEP_LAST = "keep_last"


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionFacts:
    """What an embodiment file states about one dimension of a controller; None where it lacks."""

    joint: str
    unit: str | None
    lower: float | None
    upper: float | None


class CommandWriter(Protocol):
    """Fills one message that it owns. The message must be published before the next fill."""

    def fill(self, command: FloatArray, velocity: FloatArray, now_ns: int) -> Any:
        """The message for a command (A,) and its rate of change (A,) at ``now_ns``, ROS clock."""


class CommandOutput(Protocol):
    """Sends the commands of one controller."""

    def send(self, command: FloatArray, velocity: FloatArray, now_ns: int) -> None:
        """Send a command (A,). Runs in the control loop, so it must not block."""

    def listener_count(self) -> int:
        """How many controllers listen."""

    def flush(self, timeout_s: float) -> None:
        """Wait until the last command has arrived, at most for the timeout."""

    def close(self) -> None:
        """Remove the ROS entities."""


class ControllerKind:
    """One kind of actuator interface; a subclass sets the attributes and writes and reads.

    ``stops`` are the stop behaviours that make sense; the first is the default.
    ``is_velocity``: the actions are velocities, which have no home and no measured state.
    ``options``: the kind's own settings in the embodiment file, with their default numbers.
    """

    name: ClassVar[str]
    message_type: ClassVar[str]
    stops: ClassVar[tuple[StopBehaviour, ...]] = (StopBehaviour.HOLD, StopBehaviour.KEEP_LAST)
    is_velocity: ClassVar[bool] = False
    options: ClassVar[Mapping[str, float]] = {}

    def problems(self, facts: DimensionFacts) -> Iterator[tuple[str, str]]:
        """Key of the dimension's row and what is wrong with it, with the fix."""
        return iter(())

    def writer(self, packer: ControllerPacker) -> CommandWriter:
        """Makes the messages of one controller."""
        raise NotImplementedError

    def read(self, packer: ControllerPacker, message: Any) -> FloatArray:
        """The raw setpoint (K,) that a message carries, the inverse of :meth:`writer`.

        The message may be one of rclpy or of rosbags. Raises :class:`CommandError`.
        """
        raise NotImplementedError

    def mock(self, packer: ControllerPacker, start: FloatArray, timeout_s: float) -> MockController:
        """What a simulated robot does with the messages; by default it takes the setpoint over.

        ``start`` (K,) is the setpoint before the first one.
        """
        return MockController(self, packer, start, timeout_s)

    def open_output(self, node: Any, packer: ControllerPacker, qos: Any) -> CommandOutput:
        """The ROS side of the executor; by default a publisher on the controller's topic."""
        return TopicOutput(node, self, packer, qos)

    def open_input(
        self, node: Any, packer: ControllerPacker, qos: Any, on_message: Callable[[Any], None]
    ) -> Callable[[], None]:
        """The ROS side of a simulated robot, by default a subscription. Returns its end."""
        listens = message_class(self.message_type)
        subscription = node.create_subscription(listens, packer.topic, on_message, qos)
        return lambda: node.destroy_subscription(subscription)


class TopicOutput:
    """Publishes on the topic of one controller."""

    def __init__(self, node: Any, kind: ControllerKind, packer: ControllerPacker, qos: Any) -> None:
        self._node = node
        self.writer = kind.writer(packer)
        self.publisher = node.create_publisher(message_class(kind.message_type), packer.topic, qos)

    def send(self, command: FloatArray, velocity: FloatArray, now_ns: int) -> None:
        """Publish a command."""
        self.publisher.publish(self.writer.fill(command, velocity, now_ns))

    def listener_count(self) -> int:
        """Number of subscriptions that match."""
        return int(self.publisher.get_subscription_count())

    def flush(self, timeout_s: float) -> None:
        """Wait for the acknowledgement of the last message."""
        from rclpy.duration import Duration

        self.publisher.wait_for_all_acked(Duration(seconds=timeout_s))

    def close(self) -> None:
        """Remove the publisher."""
        self._node.destroy_publisher(self.publisher)


def doubles(values: FloatArray) -> array[float]:
    """An ``array('d')``, which rclpy takes without looking at every element."""
    return array("d", values.tobytes())
