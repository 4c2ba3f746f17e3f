"""Writes pi0_msgs/Observation messages, and reads them with every field checked."""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time

from pi0_msgs.msg import Observation as ObservationMessage
from pi0_ros.embodiment import CAMERA_SLOTS, Embodiment
from pi0_ros.nodes.time_messages import time_message
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.types import Observation
from pi0_ros.stamps import NS_PER_S, nanoseconds
from pi0_ros.sync import AlignedSet, Views, view_order


class ObservationWriter:
    """Fills the same message for every set: publishing copies it, so no set allocates memory."""

    def __init__(self, embodiment: Embodiment, size: int) -> None:
        by_slot = {camera.slot: camera.name for camera in embodiment.cameras}
        shape = (len(view_order(embodiment)), size, size, 3)
        self._slots = [by_slot.get(slot) for slot in CAMERA_SLOTS]
        self.message = ObservationMessage(
            embodiment=embodiment.name,
            slots=list(CAMERA_SLOTS),
            slot_mask=[slot in by_slot for slot in CAMERA_SLOTS],
            height=size,
            width=size,
            pixels=array.array("B", bytes(math.prod(shape))),
            state_names=list(embodiment.state_names),
        )
        # A view of the message's own buffer, because its constructor and setter copy.
        pixels = np.frombuffer(self.message.pixels, dtype=np.uint8).reshape(shape)
        self.views = Views(embodiment, size, pixels)

    def stamp(self, aligned: AlignedSet[Any, Any], now_ns: int) -> None:
        """Set the times of the message before it is published."""
        message = self.message
        message.header.stamp = time_message(aligned.stamp_ns)
        message.slot_stamps = [
            Time() if name is None else time_message(aligned.frames[name].stamp_ns)
            for name in self._slots
        ]
        message.state_stamp = time_message(aligned.state_stamp_ns)
        message.skew_s = aligned.skew_ns / NS_PER_S
        message.age_s = (now_ns - aligned.oldest_ns) / NS_PER_S


class ObservationReader:
    """Reads messages of one embodiment and image size, and refuses all others."""

    def __init__(self, embodiment: Embodiment, size: int) -> None:
        self._expected = {
            "embodiment": embodiment.name,
            "slots": list(CAMERA_SLOTS),
            "slot_mask": list(embodiment.slot_mask),
            "height": size,
            "width": size,
            "state_names": list(embodiment.state_names),
        }
        self._state_names = list(embodiment.state_names)
        self._shape = (sum(embodiment.slot_mask), size, size, 3)

    def read(self, message: Any) -> Observation:
        """The message's content. Raises :class:`PolicyError` naming the field at fault.

        The images are a view of the message's own buffer; the prompt is empty.
        """
        for field, expected in self._expected.items():
            found = getattr(message, field)
            found = list(found) if isinstance(expected, list) else found
            if found != expected:
                raise PolicyError(
                    f"observation has {field} {found}, this policy expects {expected};"
                    " start camera_sync with the same embodiment and image_size"
                )
        size = math.prod(self._shape)
        if len(message.pixels) != size:
            raise PolicyError(
                f"observation has {len(message.pixels)} bytes of pixels, {size} expected for"
                f" {self._shape[0]} views of {self._shape[1]}x{self._shape[2]}"
            )
        state = np.array(message.state, dtype=np.float64)
        if len(state) != len(self._state_names) or not np.isfinite(state).all():
            raise PolicyError(
                f"observation has state {state.tolist()}; one finite number per name of"
                f" {self._state_names} expected"
            )
        return Observation(
            images=np.frombuffer(message.pixels, dtype=np.uint8).reshape(self._shape),
            slot_mask=tuple(bool(present) for present in message.slot_mask),
            state=state,
            prompt="",
            stamp_ns=nanoseconds(message.header.stamp),
        )
