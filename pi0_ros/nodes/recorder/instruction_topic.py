"""The newest message on topic ``instruction``, which may have several publishers."""

from __future__ import annotations

from dataclasses import replace

from rclpy.node import Node
from rclpy.serialization import deserialize_message

from pi0_msgs.msg import Instruction as InstructionMessage
from pi0_ros.instruction import Instruction


class NewestInstruction:
    """Keeps the newest instruction. Several latched publishers may arrive in any order."""

    def __init__(self, node: Node) -> None:
        self._clock = node.get_clock()
        self._logger = node.get_logger()
        self._newest: Instruction | None = None
        self.labelling: Instruction | None = None  # the newest one whose text labels frames

    def add(self, data: bytes) -> bool:
        """Take a serialised message; whether it is the newest. A malformed one is not."""
        try:
            instruction = Instruction.of(deserialize_message(data, InstructionMessage))
        except Exception as error:  # one unreadable message must not end the episode
            self._logger.warning(f"an instruction message cannot be read: {error!r}")
            return False
        now_ns = int(self._clock.now().nanoseconds)
        if not instruction.stamp_ns:  # as `ros2 topic pub` sends it
            instruction = replace(instruction, stamp_ns=now_ns)
        if not instruction.supersedes(self._newest, now_ns):
            return False
        self._newest = instruction
        if not instruction.empty:
            self.labelling = instruction
        return True
