"""The instruction that the policy follows, from every topic and parameter that can give one."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from pi0_msgs.msg import Instruction as InstructionMessage
from pi0_ros.instruction import Instruction, InstructionSource
from pi0_ros.nodes.instruction import instruction_message
from pi0_ros.nodes.managed import LATCHED_QOS

# Latched, and deep enough that the last of one publisher does not displace that of another.
_READER_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_PROMPT = ParameterDescriptor(description="instruction to follow; empty: none, nothing is inferred")


class InstructionInput:
    """Follows the newest instruction on topic ``instruction``.

    People use the topic ``prompt`` or the parameter ``prompt``. What they say is published on
    ``instruction`` as an operator's, so that its other readers see every instruction there.
    ``node`` calls :meth:`configure`, :meth:`start`, :meth:`stop` and :meth:`close`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._own = f"{node.get_fully_qualified_name()}:{uuid.uuid4().hex[:8]}:"
        self._numbers = itertools.count()
        self._active = False
        self._unpublished: Instruction | None = None
        self._publisher: Publisher | None = None
        self.current: Instruction | None = None
        node.declare_parameter("prompt", "", _PROMPT)
        node.add_post_set_parameters_callback(self._on_parameters)

    @property
    def text(self) -> str:
        """The instruction in force; empty without one."""
        return "" if self.current is None or self.current.empty else self.current.text

    def values(self) -> dict[str, str]:
        """Diagnostics: the instruction in force and who gave it."""
        source = self.current.source.name.lower() if self.current is not None else "none"
        return {"prompt": self.text, "instruction_source": source}

    def configure(self) -> None:
        """Create the topics; the parameter ``prompt`` counts as given now."""
        self.current = self._unpublished = None
        self._publisher = self._node.create_publisher(
            InstructionMessage, "instruction", LATCHED_QOS
        )
        for kind, topic, callback, qos in (
            (InstructionMessage, "instruction", self._on_instruction, _READER_QOS),
            (String, "prompt", lambda message: self._give(message.data), LATCHED_QOS),
        ):
            self._node.create_subscription(kind, topic, callback, qos)
        prompt = str(self._node.get_parameter("prompt").value)
        if prompt:
            self._give(prompt)

    def start(self) -> None:
        """Publish from now on; first what was given while inactive, if it is still in force."""
        self._active = True
        if self._unpublished is not None and self._unpublished is self.current:
            self._publish(self._unpublished)

    def stop(self) -> None:
        """Stop publishing; instructions are still followed."""
        self._active = False

    def close(self) -> None:
        """Ignore changes of the parameter until :meth:`configure`, which reads it."""
        self._publisher = None

    def _on_parameters(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            # Before configure there is nothing to tell: configure reads the parameter.
            if parameter.name == "prompt" and self._publisher is not None:
                self._give(parameter.value)

    def _give(self, text: str) -> None:
        """Follow what an operator says, and publish it."""
        instruction = Instruction(
            text=text,
            source=InstructionSource.OPERATOR,
            id=f"{self._own}{next(self._numbers)}",
            stamp_ns=self._now_ns(),
        )
        self._follow(instruction)
        if self._active:
            self._publish(instruction)
        else:
            self._unpublished = instruction

    def _on_instruction(self, message: Any) -> None:
        instruction = Instruction.of(message)
        if instruction.id.startswith(self._own):
            return
        now_ns = self._now_ns()
        if not instruction.stamp_ns:  # as `ros2 topic pub` sends it
            instruction = replace(instruction, stamp_ns=now_ns)
        if not instruction.supersedes(self.current, now_ns):
            self._node.get_logger().warning(
                f"instruction {instruction.text!r} of {instruction.source.name.lower()} not"
                " followed: it was given before the one in force; compare the machines' clocks"
                " if it is new"
            )
            return
        self._follow(instruction)

    def _follow(self, instruction: Instruction) -> None:
        """Use this instruction from the next inference on."""
        before = self.current
        if before is None or (before.text, before.source) != (instruction.text, instruction.source):
            self._node.get_logger().info(
                f"prompt of {instruction.source.name.lower()}: {instruction.text!r}"
            )
        self.current = instruction

    def _publish(self, instruction: Instruction) -> None:
        self._unpublished = None
        if self._publisher is not None:
            self._publisher.publish(instruction_message(instruction))

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
