"""Converts the messages that chunk_executor receives to those of :mod:`pi0_ros.control`."""

from __future__ import annotations

import struct

import numpy as np

from pi0_msgs.msg import ActionChunk
from pi0_msgs.msg import TeleopCommand as TeleopMessage
from pi0_ros.control import IncomingChunk, TeleopCommand
from pi0_ros.stamps import NS_PER_S, nanoseconds


def to_incoming(message: ActionChunk) -> IncomingChunk:
    """The chunk of a message, unchecked."""
    return IncomingChunk(
        stamp_ns=nanoseconds(message.header.stamp),
        step_ns=nanoseconds(message.step_duration),
        names=tuple(message.action_names),
        horizon=message.horizon,
        data=np.asarray(message.data, dtype=np.float32),
        observation_stamp_ns=nanoseconds(message.observation_stamp),
        sequence=message.sequence,
        source_id=message.source_id,
        embodiment=message.embodiment,
        checkpoint_id=message.checkpoint_id,
    )


def to_teleop(message: TeleopMessage) -> TeleopCommand:
    """The teleoperation command of a message, unchecked."""
    return TeleopCommand(
        stamp_ns=nanoseconds(message.header.stamp),
        source_id=message.source_id,
        deadman=message.deadman,
        names=tuple(message.action_names),
        position=np.asarray(message.position, dtype=np.float64),
        velocity=np.asarray(message.velocity, dtype=np.float64),
    )


def header_stamp_ns(data: bytes) -> int:
    """Stamp of a serialised message that begins with a header.

    The first 4 bytes are the CDR encapsulation, whose second byte gives the byte order. Then follow
    int32 seconds and uint32 nanoseconds.
    """
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(sec) * NS_PER_S + int(nanosec)
