"""Both front ends start the same processes with the same parameters.

The stand-in program prints the node name, namespace and parameters that it received. The tests look
for launch_ros and not for launch, because from the repository root Python imports the folder
``launch`` as a module.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from stand_ins import Prefix

from pi0_ros.graph.arguments import (
    ARGUMENTS,
    HARDWARE_ARGUMENTS,
    RECORDER_ARGUMENTS,
    Argument,
)
from pi0_ros.graph.command import format_parameter
from pi0_ros.graph.declaration import Process, declare
from pi0_ros.graph.options import GraphOptions
from pi0_ros.graph.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
WITHOUT_LAUNCH = "ROS 2 launch is not installed here (it has no wheel)"

NOTE_ARGUMENTS = """
import json, os, signal, sys
given = {"name": None, "namespace": "/", "parameters": {}, "environment": {}}
words = iter(sys.argv[1:])
for word in words:
    if word in ("-r", "-p"):
        key, _, value = next(words).partition(":=")
        if word == "-p":
            given["parameters"][key] = value
        else:
            given[{"__node": "name", "__ns": "namespace"}[key]] = value
    elif word == "--params-file":
        given["file"] = open(next(words)).read()
given["environment"] = dict(os.environ)
stops = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, stops)
sys.stdout.write("given " + json.dumps(given) + "\\n")  # in one piece
sys.stdout.flush()
signal.sigwait(stops)
"""


def noted(process: Process) -> dict[str, Any]:
    """What a program with this declaration should print."""
    return {
        "name": process.name,
        "namespace": process.namespace,
        "parameters": dict(process.parameters),
        "environment": dict(process.environment),
    }


def declared_part(note: dict[str, Any], process: Process) -> dict[str, Any]:
    """What a program printed, without the variables that every program has."""
    seen = {k: v for k, v in note["environment"].items() if k in process.environment}
    return {**note, "environment": seen}


@pytest.fixture
def processes(prefix: Prefix, monkeypatch: pytest.MonkeyPatch) -> tuple[Process, ...]:
    """The declared graph, with stand-ins as programs."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix.root))
    index = prefix.root / "share" / "ament_index" / "resource_index" / "packages"
    options = GraphOptions(
        embodiment="bimanual_trossen",
        hardware="mujoco",
        checkpoint=str(prefix.root),
        prompt='10: "fold" it, π',
        namespace="cell/left",
        seed=7,
        caller={},
    )
    declared = declare(options)
    for process in declared:
        (index / process.package).touch()
        prefix.program(process.executable, NOTE_ARGUMENTS, process.package)
    return declared


def test_pi0_up_hands_over_what_is_declared(prefix: Prefix, processes: tuple[Process, ...]) -> None:
    import yaml

    notes: dict[str, Any] = {}

    def collect(name: str, text: str) -> None:
        if text.startswith("given "):
            notes[name] = json.loads(text.removeprefix("given "))

    with Supervisor(processes, collect, environment=prefix.environment) as supervisor:
        supervisor.start()
        while len(notes) < len(processes):
            supervisor.step(None)
    for process in processes:
        note = notes[process.name]
        note["parameters"] = {k: yaml.safe_load(v) for k, v in note["parameters"].items()}
        assert declared_part(note, process) == noted(process)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (10, "10"),
        (0.5, "0.5"),
        ("", '""'),
        ("10", '"10"'),
        ("yes: no", '"yes: no"'),
        ('say "π"', '"say \\"π\\""'),
    ],
)
def test_parameters_keep_their_type_on_the_command_line(value: Any, text: str) -> None:
    assert format_parameter(value) == text


def test_launch_hands_over_what_is_declared(processes: tuple[Process, ...]) -> None:
    pytest.importorskip("launch_ros", reason=WITHOUT_LAUNCH)
    import yaml
    from launch import LaunchDescription, LaunchService
    from launch.actions import RegisterEventHandler, Shutdown
    from launch.event_handlers import OnProcessIO

    from pi0_ros.graph.launch_description import node_actions

    notes: dict[str, Any] = {}

    def collect(event: Any) -> Shutdown | None:
        for line in event.text.decode().splitlines():
            if line.startswith("given "):
                note = json.loads(line.removeprefix("given "))
                notes[note["name"]] = note
        if len(notes) == len(processes):
            return Shutdown(reason="seen enough")
        return None

    service = LaunchService()
    actions = [action for process in processes for action in node_actions(process)]
    watch = RegisterEventHandler(OnProcessIO(on_stdout=collect))
    service.include_launch_description(LaunchDescription([watch, *actions]))
    assert service.run() == 0
    for process in processes:
        note = notes[process.name]
        (of_node,) = yaml.safe_load(note.pop("file")).values()
        note["parameters"] = of_node["ros__parameters"]
        assert declared_part(note, process) == noted(process)


def test_launch_reports_a_death_by_name_and_ends_with_code_1(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("launch_ros", reason=WITHOUT_LAUNCH)
    from launch import LaunchDescription, LaunchService

    from pi0_ros.graph.launch_description import node_actions

    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix.root))
    robot = prefix.process("robot")
    camera = prefix.process("camera", "raise SystemExit(7)")
    service = LaunchService()
    actions = [action for process in (robot, camera) for action in node_actions(process)]
    service.include_launch_description(LaunchDescription(actions))
    assert service.run() == 1
    assert "camera died: exit code 7" in caplog.text


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("launch/pi0.launch.py", ARGUMENTS),
        ("launch/record.launch.py", RECORDER_ARGUMENTS),
        ("pi0_bringup/launch/bringup.launch.py", HARDWARE_ARGUMENTS),
    ],
)
def test_launch_files_load_and_describe_their_arguments(
    path: str, arguments: tuple[Argument, ...]
) -> None:
    pytest.importorskip("launch_ros", reason=WITHOUT_LAUNCH)
    spec = importlib.util.spec_from_file_location("launch_file", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    described = module.generate_launch_description().get_launch_arguments()
    assert [a.name for a in described] == [a.name for a in arguments]
    for shown, argument in zip(described, arguments, strict=True):
        assert shown.description.startswith(argument.description)
    assert [bool(a.default_value) for a in described] == [a.default is not None for a in arguments]
