"""The options of the graph as arguments of the command line and of launch.

``pi0 up`` writes them ``--num-steps``, ``pi0.launch.py`` ``num_steps:=``. Both receive text, which
:func:`parse_options` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any

from pi0_ros.graph.options import GraphError, GraphOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument. ``default`` None means it must be given; ``choices`` () allows any text."""

    name: str
    description: str
    default: str | None = None
    choices: tuple[str, ...] = ()


def _argument(option: Field[Any]) -> Argument:
    default = None if option.default is MISSING else _default_text(option.default)
    return Argument(
        name=option.name,
        description=option.metadata["description"],
        default=default,
        choices=option.metadata["choices"],
    )


def _default_text(value: bool | int | str | None) -> str:
    if value is None:
        return "auto"
    return str(value).lower() if isinstance(value, bool) else str(value)


_OPTIONS = {option.name: option for option in fields(GraphOptions) if option.metadata}


def _arguments(*parts: str) -> tuple[Argument, ...]:
    return tuple(_argument(o) for o in _OPTIONS.values() if o.metadata["part"] in parts)


#: Arguments of the whole suite, of the robot alone, and of the recorder beside a running robot.
ARGUMENTS = _arguments("hardware", "suite")
HARDWARE_ARGUMENTS = _arguments("hardware")
RECORDER_ARGUMENTS = (
    _argument(_OPTIONS["embodiment"]),
    _argument(_OPTIONS["namespace"]),
    replace(
        _argument(_OPTIONS["use_sim_time"]),
        description="Whether the recorder follows /clock; say true beside a simulation",
        default="false",
        choices=("true", "false"),
    ),
    *_arguments("recorder"),
)


def parse_options(
    values: Mapping[str, str], arguments: Sequence[Argument] = ARGUMENTS
) -> GraphOptions:
    """Make options of received text; absent arguments get their default.

    Raises :class:`GraphError` naming argument, value and fix.
    """
    given: dict[str, Any] = {}
    for argument in arguments:
        text = values.get(argument.name, argument.default)
        if text is None:
            continue
        if argument.choices and text not in argument.choices:
            choices = ", ".join(argument.choices)
            raise GraphError(f"{argument.name} is {text!r}; give one of {choices}")
        given[argument.name] = _value(argument.name, text)
    if not given.get("embodiment"):
        raise GraphError("no embodiment given; `pi0 embodiments list` shows the shipped ones")
    return GraphOptions(**given)


def _value(name: str, text: str) -> bool | int | str | None:
    """Convert the text to the type of the option's default."""
    default = _OPTIONS[name].default
    if default is MISSING or isinstance(default, str):
        return text
    if default is None or isinstance(default, bool):
        return {"auto": None, "true": True, "false": False}[text]
    try:
        return int(text)
    except ValueError:
        raise GraphError(f"{name} is {text!r}; give a whole number") from None
