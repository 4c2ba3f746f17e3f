"""The command outputs of a robot: one per controller, made by the controller's kind."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

from pi0_ros.control import Tick
from pi0_ros.controllers import CONTROLLER_KINDS, CommandOutput
from pi0_ros.embodiment import Embodiment, StopBehaviour
from pi0_ros.embodiment.packing import controller_packer
from pi0_ros.nodes.managed import COMMAND_QOS

#: How long the final commands may take to be acknowledged [s].
_ACKNOWLEDGE_S = 0.5


class Outputs:
    """Sends the commands of ticks, and checks which topics have subscribers."""

    def __init__(self, node: Node, embodiment: Embodiment) -> None:
        self._controllers = embodiment.controllers
        self.by_controller: list[CommandOutput] = []
        for controller in embodiment.controllers:
            kind = CONTROLLER_KINDS.get(controller.kind)
            packer = controller_packer(embodiment, controller)
            self.by_controller.append(kind.open_output(node, packer, COMMAND_QOS))

    def send(self, tick: Tick) -> None:
        """Send the commands of a tick to the controllers that it names."""
        for publishes, output in zip(tick.publish, self.by_controller, strict=True):
            if publishes:
                output.send(tick.command, tick.tangent, tick.now_ns)

    def unsubscribed(self) -> tuple[list[str], list[str]]:
        """Topics without a subscriber: those of arms, then those of grippers and bases."""
        arms: list[str] = []
        others: list[str] = []
        for controller, output in zip(self._controllers, self.by_controller, strict=True):
            if output.listener_count() == 0:
                is_arm = controller.stop is StopBehaviour.HOLD
                (arms if is_arm else others).append(controller.topic)
        return arms, others

    def flush(self, *more: Publisher) -> None:
        """Wait at most :data:`_ACKNOWLEDGE_S` for the last messages to be acknowledged."""
        for output in self.by_controller:
            output.flush(_ACKNOWLEDGE_S)
        for publisher in more:
            publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))

    def destroy(self) -> None:
        """Close every output."""
        while self.by_controller:
            self.by_controller.pop().close()


def unsubscribed_reason(topics: list[str]) -> str | None:
    """Why an arm without a subscriber is not commanded, or None."""
    if not topics:
        return None
    return f"no controller listens on {', '.join(topics)}; start or activate it"
