"""An instruction as a message; :meth:`pi0_ros.instruction.Instruction.of` is the way back."""

from __future__ import annotations

from pi0_msgs.msg import Instruction as InstructionMessage
from pi0_ros.instruction import Instruction
from pi0_ros.nodes.time_messages import time_message


def instruction_message(instruction: Instruction) -> InstructionMessage:
    """The pi0_msgs/Instruction with this content."""
    message = InstructionMessage(
        source=int(instruction.source), text=instruction.text, id=instruction.id
    )
    message.header.stamp = time_message(instruction.stamp_ns)
    return message
