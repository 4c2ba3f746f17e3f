"""The network on another machine, behind an openpi server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.embodiment import Embodiment
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.remote.client import RemoteClient, RemoteOptions
from pi0_ros.policy.remote.layouts import NESTED, WireFormat
from pi0_ros.policy.types import Chunk, Observation, RemainingActions

#: Side of the views that are sent [pixels]; what the public checkpoints take.
IMAGE_SIZE = 224

_STAGES = ("preprocess", "network", "server", "postprocess", "total")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePolicyOptions(RemoteOptions):
    """``layout``: names of the observation's parts on the wire, "images" (openpi's ALOHA),
    "droid" or "ur5".
    """

    layout: str = NESTED


class RemotePolicy:
    """Any openpi server as a policy.

    Connects at the first inference, so that robot and server start in any order. Raises
    :class:`PolicyError` at once for options that cannot work.
    """

    image_size = IMAGE_SIZE
    can_continue = False  # the protocol cannot carry the remaining actions of a chunk

    def __init__(
        self,
        embodiment: Embodiment,
        options: RemotePolicyOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._embodiment = embodiment
        self._layout = options.layout
        self._wire = WireFormat(embodiment)
        if options.layout not in self._wire.layouts:
            raise PolicyError(
                f"remote_layout {options.layout!r} does not fit {embodiment.name};"
                f" give one of {', '.join(self._wire.layouts)}"
            )
        self.checkpoint_id = f"remote:{options.address}"
        self._client = RemoteClient(options, clock)

    @property
    def trained(self) -> bool:
        """Whether the weights were trained; true unless the server says otherwise."""
        return self.metadata.get("trained", True) is not False

    @property
    def metadata(self) -> dict[str, Any]:
        """The server's description of itself at the latest connection."""
        return self._client.metadata

    def infer(self, observation: Observation, remaining: RemainingActions | None = None) -> Chunk:
        """Ask the server for a chunk. Raises :class:`PolicyError` within the timeout."""
        if remaining is not None:
            raise PolicyError("a remote policy cannot continue a chunk; use strategy:=sequential")
        marks_s = [time.perf_counter()]
        message = self._wire.encode(observation, self._layout)
        marks_s.append(time.perf_counter())
        reply = self._client.request(message)
        marks_s.append(time.perf_counter())
        try:
            self._check_metadata()
            actions = self._actions(reply)
        except PolicyError as error:
            raise self._client.fail(str(error)) from error
        self._client.accept()
        marks_s.append(time.perf_counter())
        return Chunk(actions=actions, stage_ms=_stage_ms(marks_s, reply), stage_names=_STAGES)

    def close(self) -> None:
        """End the connection; an inference under way in another thread fails at once."""
        self._client.close()

    def _check_metadata(self) -> None:
        """A server of this suite names its robot: refuse actions for another one."""
        expected: dict[str, Any] = {
            "embodiment": self._embodiment.name,
            "action_names": list(self._embodiment.action_names),
            "step_duration_s": self._embodiment.rates.step_duration_s,
        }
        for key, value in expected.items():
            found = self.metadata.get(key, value)
            if found != value:
                raise PolicyError(f"serves {key} {found}, this robot needs {value}")

    def _actions(self, reply: Any) -> NDArray[np.float32]:
        """The actions of a reply, copied because msgpack's arrays are read-only."""
        if not isinstance(reply, dict) or "actions" not in reply:
            found = ", ".join(map(str, reply)) if isinstance(reply, dict) else type(reply).__name__
            raise PolicyError(f"the answer has no actions, only {found or 'an empty map'}")
        actions = reply["actions"]
        shape = (self._embodiment.rates.horizon, len(self._embodiment.action))
        if not isinstance(actions, np.ndarray) or actions.dtype.kind != "f":
            raise PolicyError(f"actions are {_kind(actions)}, an array of floats expected")
        if actions.shape != shape:
            raise PolicyError(
                f"actions have shape {actions.shape}, {self._embodiment.name} needs {shape}:"
                " steps by actions"
            )
        with np.errstate(over="ignore"):  # a value out of range becomes infinite, and is refused
            copied = actions.astype(np.float32)
        finite = np.isfinite(copied)
        if not finite.all():
            names = np.array(self._embodiment.action_names)[~finite.all(axis=0)]
            raise PolicyError(f"actions are not finite in {', '.join(names)}")
        return copied


def _kind(value: Any) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__


def _stage_ms(marks_s: list[float], reply: dict[str, Any]) -> tuple[float, ...]:
    """Durations in the order of the stages; ``server`` is as the server reports it, else 0."""
    encode, exchange, check = (1e3 * duration for duration in np.diff(marks_s).tolist())
    timing = reply.get("server_timing")
    said = timing.get("infer_ms") if isinstance(timing, dict) else None
    server = min(float(said), exchange) if isinstance(said, (int, float)) and said > 0.0 else 0.0
    return encode, exchange - server, server, check, encode + exchange + check
