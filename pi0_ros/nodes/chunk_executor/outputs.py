"""The command topics of a robot: one writer and one publisher per controller."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

from pi0_ros.control import Tick
from pi0_ros.embodiment import Embodiment, StopBehaviour
from pi0_ros.nodes.chunk_executor.commands import CommandWriter, command_writer
from pi0_ros.nodes.managed import COMMAND_QOS

#: How long the final commands may take to be acknowledged.
_ACKNOWLEDGE = Duration(seconds=0.5)


class Outputs:
    """Publishes ticks, and knows whether anybody listens."""

    def __init__(self, node: Node, embodiment: Embodiment) -> None:
        self._node = node
        self._controllers = embodiment.controllers
        self.writers: list[CommandWriter] = [
            command_writer(embodiment, controller) for controller in embodiment.controllers
        ]
        self.publishers: list[Publisher] = [
            node.create_publisher(writer.message_type, controller.topic, COMMAND_QOS)
            for writer, controller in zip(self.writers, embodiment.controllers, strict=True)
        ]

    def send(self, tick: Tick) -> None:
        """Publish the commands of a tick, of the controllers it names."""
        for publishes, writer, publisher in zip(
            tick.publish, self.writers, self.publishers, strict=True
        ):
            if publishes:
                publisher.publish(writer.fill(tick.command, tick.tangent, tick.now_ns))

    def unheard(self) -> tuple[list[str], list[str]]:
        """Topics without a subscriber: those of arms, then those of grippers and bases."""
        arms: list[str] = []
        others: list[str] = []
        for controller, publisher in zip(self._controllers, self.publishers, strict=True):
            if publisher.get_subscription_count() == 0:
                is_arm = controller.stop is StopBehaviour.HOLD
                (arms if is_arm else others).append(controller.topic)
        return arms, others

    def flush(self, *more: Publisher) -> None:
        """Wait a moment for the last messages to be acknowledged."""
        for publisher in (*self.publishers, *more):
            publisher.wait_for_all_acked(_ACKNOWLEDGE)

    def destroy(self) -> None:
        """Remove the publishers."""
        while self.publishers:
            self._node.destroy_publisher(self.publishers.pop())


def unheard_reason(topics: list[str]) -> str | None:
    """Why an arm without listeners is not commanded, or None."""
    if not topics:
        return None
    return f"no controller listens on {', '.join(topics)}; start or activate it"
