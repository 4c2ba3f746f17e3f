"""The processes of a running suite and their parameters.

This module only declares processes. ``pi0 up`` (:mod:`pi0_ros.graph.supervisor`) and ``ros2
launch`` (:mod:`pi0_ros.graph.launch_description`) start the same declaration, so that they cannot
differ. Hardware programs are only named here, because ``pi0_bringup`` depends on this package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import yaml

from pi0_ros.embodiment import load
from pi0_ros.graph.options import HARDWARE, GraphError, GraphOptions
from pi0_ros.graph.scenes import find_scene
from pi0_ros.system.ament_index import find_share_file

#: The types of a node parameter.
ParameterValue = bool | int | float | str

#: Names the Fast DDS profile of a user. The Fast DDS of ROS 2 Jazzy reads no other variable.
_PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"

_NAMESPACE = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the graph, which runs one node of the same name.

    ``namespace`` is absolute ("/" for none). ``environment`` is added to that of the caller.
    ``parameter_file`` ("" for none) overrides ``parameters``. Processes with a lower
    ``stop_order`` are stopped first. If a ``critical`` process dies, the graph is stopped.
    """

    name: str
    package: str
    executable: str
    namespace: str
    parameters: Mapping[str, ParameterValue]
    environment: Mapping[str, str]
    stop_order: int
    critical: bool = True
    parameter_file: str = ""


def declare(options: GraphOptions) -> tuple[Process, ...]:
    """Every process of the suite in starting order, hardware first.

    Raises :class:`GraphError` or :class:`~pi0_ros.embodiment.EmbodimentError`.
    """
    hardware = declare_hardware(options)
    common = _common_parameters(options)
    source = _checked_source(options)
    if options.num_steps < 1:
        raise GraphError(f"num_steps is {options.num_steps}; give a whole number of at least 1")
    views: dict[str, ParameterValue] = {"image_size": options.image_size}
    policy: dict[str, ParameterValue] = {
        **source,
        "prompt": options.prompt,
        "num_steps": options.num_steps,
        "device": options.device,
        "threads": options.threads,
        "seed": options.seed,
        "strategy": "" if options.strategy == "auto" else options.strategy,
    }
    return (
        *hardware,
        # The executor stops after its inputs, because it holds the arm meanwhile.
        _process(options, "pi0_ros", "chunk_executor", common, stop_order=2),
        _process(options, "pi0_ros", "camera_sync", {**common, **views}, stop_order=1),
        _process(options, "pi0_ros", "policy", {**common, **policy}, stop_order=0),
    )


def declare_hardware(options: GraphOptions) -> tuple[Process, ...]:
    """The process of the simulated or mock robot; none for real hardware.

    Raises as :func:`declare`.
    """
    embodiment = load(options.embodiment)
    _check_hardware(options)
    if options.hardware == "real":
        return ()
    parameters = _common_parameters(options)
    if options.hardware == "mujoco":  # it publishes /clock
        parameters["use_sim_time"] = False
        parameters["scene"], _ = find_scene(embodiment.name, options.scene)
    executable = f"{options.hardware}_robot"
    return (_process(options, "pi0_bringup", executable, parameters, stop_order=3),)


def declare_executor(options: GraphOptions) -> tuple[Process, ...]:
    """The executor alone, for teleoperation. Raises as :func:`declare`."""
    load(options.embodiment)
    return (
        _process(options, "pi0_ros", "chunk_executor", _common_parameters(options), stop_order=2),
    )


def declare_recorder(options: GraphOptions) -> tuple[Process, ...]:
    """The recorder, for a robot that is already running. Raises as :func:`declare`."""
    load(options.embodiment)
    parameters: dict[str, ParameterValue] = {
        **_common_parameters(options),
        "directory": str(Path(options.directory).expanduser().resolve()),
        "require_commands": options.require_commands,
        "extra_topics": options.extra_topics,
        "queue_mb": options.queue_mb,
        "reserve_mb": options.reserve_mb,
    }
    return (_process(options, "pi0_ros", "recorder", parameters, stop_order=0),)


def _common_parameters(options: GraphOptions) -> dict[str, ParameterValue]:
    return {
        "embodiment": _absolute_if_path(options.embodiment),
        "use_sim_time": options.on_sim_time,
    }


def _process(
    options: GraphOptions,
    package: str,
    name: str,
    parameters: Mapping[str, ParameterValue],
    *,
    stop_order: int,
) -> Process:
    return Process(
        name=name,
        package=package,
        executable=name,
        namespace=_absolute_namespace(options.namespace),
        parameters=MappingProxyType(dict(parameters)),
        environment=MappingProxyType(_environment(options.caller)),
        stop_order=stop_order,
        parameter_file=_checked_parameters(options.parameters),
    )


def _environment(caller: Mapping[str, str]) -> dict[str, str]:
    environment = {"PYTHONUNBUFFERED": "1"}
    if _PROFILE_VARIABLE not in caller:
        profile = find_share_file("pi0_bringup", "config/fastdds.xml", caller)
        if profile is not None:
            environment[_PROFILE_VARIABLE] = str(profile)
    return environment


def _check_hardware(options: GraphOptions) -> None:
    hardware, scene = options.hardware, options.scene
    if hardware not in HARDWARE:
        raise GraphError(f"unknown hardware {hardware!r}; give one of {', '.join(HARDWARE)}")
    if scene and hardware != "mujoco":
        raise GraphError(
            f"scene is {scene!r} and hardware is {hardware!r}; only hardware mujoco has a scene"
        )


def _checked_source(options: GraphOptions) -> dict[str, ParameterValue]:
    """The parameters ``checkpoint`` and ``remote``, of which one is empty."""
    remote = options.remote
    if not remote:
        return {"checkpoint": _checked_checkpoint(options.checkpoint), "remote": ""}
    if not remote.startswith(("ws://", "wss://")):
        raise GraphError(f"remote is {remote!r}; give ws://HOST:PORT, or wss:// for TLS")
    if options.checkpoint:
        raise GraphError(
            f"checkpoint is {options.checkpoint!r} and remote is {remote!r}; give one of them:"
            " a server brings its own checkpoint"
        )
    return {"checkpoint": "", "remote": remote}


def _checked_parameters(text: str) -> str:
    if not text:
        return ""
    path = Path(text).expanduser()
    if not path.is_file():
        raise GraphError(f"parameters is {text!r}, which is no file; give a ROS parameter file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise GraphError(f"parameters {text!r} cannot be read: {error}") from error
    if not isinstance(content, dict) or not all(
        isinstance(node, dict) and "ros__parameters" in node for node in content.values()
    ):
        raise GraphError(
            f"parameters {text!r} is no ROS parameter file; write"
            " `chunk_executor: {ros__parameters: {splice_s: 0.3}}`"
        )
    return str(path.resolve())


def _checked_checkpoint(text: str) -> str:
    if not text:
        raise GraphError(
            "no checkpoint given; `pi0 checkpoint --help` shows how to get one, and"
            " remote ws://HOST:PORT takes the policy of a server"
        )
    path = Path(text).expanduser()
    if not path.exists():
        raise GraphError(f"checkpoint {text!r} does not exist; give the path of its folder")
    return str(path.resolve())


def _absolute_namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise GraphError(
            f"namespace {text!r} is not a ROS namespace; "
            "give letters, digits and underscores between slashes, such as robot_1/left"
        )
    return "/" + text.strip("/")


def _absolute_if_path(embodiment: str) -> str:
    """Make a path absolute: the nodes may run in another folder than the caller."""
    if "/" in embodiment or embodiment.endswith((".yaml", ".yml")):
        return str(Path(embodiment).expanduser().resolve())
    return embodiment
