"""The command line that starts a declared process."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pi0_ros.graph.declaration import ParameterValue, Process
from pi0_ros.graph.options import GraphError
from pi0_ros.system.ament_index import find_executable


def command_line(process: Process, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Program and arguments, in the syntax of ``ros2 run``.

    Raises :class:`GraphError` if the program is not installed.
    """
    try:
        program = find_executable(process.package, process.executable, environment)
    except FileNotFoundError as error:
        raise GraphError(str(error)) from error
    words = [str(program), "--ros-args", "-r", f"__node:={process.name}"]
    if process.namespace != "/":
        words += ["-r", f"__ns:={process.namespace}"]
    for name, value in process.parameters.items():
        words += ["-p", f"{name}:={format_parameter(value)}"]
    if process.parameter_file:  # the last value of a parameter wins
        words += ["--params-file", process.parameter_file]
    return tuple(words)


def format_parameter(value: ParameterValue) -> str:
    """Format a value so that the YAML parser of rcl keeps its type.

    Text is always quoted, so that a prompt such as ``10`` or ``yes: do it`` stays text.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
