"""What to start, and how the text of a front end becomes it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pi0_ros.graph.arguments import ARGUMENTS, Argument


class GraphError(ValueError):
    """A graph that cannot be started. The message names the value and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """One field for each argument of :mod:`pi0_ros.graph.arguments`.

    ``scene`` "" is the only one of the embodiment. ``use_sim_time`` None follows the hardware:
    the simulation brings its clock. ``seed`` -1 draws one. ``strategy`` "auto" leaves it
    to the policy. ``checkpoint`` is not needed with ``remote``, nor for the hardware alone.
    ``caller`` is the environment of the one who starts the graph.
    """

    embodiment: str
    hardware: str = "mock"
    scene: str = ""
    checkpoint: str = ""
    remote: str = ""
    prompt: str = ""
    namespace: str = ""
    use_sim_time: bool | None = None
    parameters: str = ""
    image_size: int = 224
    device: str = "cpu"
    threads: int = 0
    num_steps: int = 10
    seed: int = -1
    strategy: str = "auto"
    directory: str = "~/pi0_episodes"
    require_commands: bool = True
    extra_topics: str = ""
    queue_mb: int = 256
    reserve_mb: int = 512
    caller: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def on_sim_time(self) -> bool:
        """Whether the nodes follow /clock."""
        return self.hardware == "mujoco" if self.use_sim_time is None else self.use_sim_time


def parse_options(
    values: Mapping[str, str], arguments: Sequence[Argument] = ARGUMENTS
) -> GraphOptions:
    """Make options of what a front end received; absent ones get their default.

    Raises :class:`GraphError` naming argument, value and fix.
    """
    fields: dict[str, Any] = {}
    for argument in arguments:
        text = values.get(argument.name, argument.default)
        if text is None:
            continue
        if argument.choices and text not in argument.choices:
            choices = ", ".join(argument.choices)
            raise GraphError(f"{argument.name} is {text!r}; give one of {choices}")
        fields[argument.name] = _CONVERSIONS.get(argument.name, _text)(argument.name, text)
    if not fields.get("embodiment"):
        raise GraphError("no embodiment given; `pi0 embodiments list` shows the shipped ones")
    return GraphOptions(**fields)


def _text(_: str, text: str) -> str:
    return text


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise GraphError(f"{name} is {text!r}; give a whole number") from None


def _switch(_: str, text: str) -> bool | None:
    return {"auto": None, "true": True, "false": False}[text]


_CONVERSIONS = {
    "use_sim_time": _switch,
    "image_size": _whole_number,
    "threads": _whole_number,
    "num_steps": _whole_number,
    "seed": _whole_number,
    "require_commands": _switch,
    "queue_mb": _whole_number,
    "reserve_mb": _whole_number,
}
