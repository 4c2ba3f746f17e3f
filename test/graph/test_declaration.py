"""Which processes run, with which parameters, for each embodiment and hardware."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from pi0_ros.embodiment import EmbodimentError, available
from pi0_ros.graph.command import command_line
from pi0_ros.graph.declaration import (
    declare,
    declare_hardware,
    declare_recorder,
)
from pi0_ros.graph.options import GraphError, GraphOptions
from pi0_ros.graph.scenes import installed_scenes

SUITE = ["chunk_executor", "camera_sync", "policy"]
COMBINATIONS = [
    (embodiment, hardware)
    for embodiment, hardware in itertools.product(available(), ("mujoco", "mock", "real"))
    if hardware != "mujoco" or embodiment in installed_scenes()
]


def options(checkpoint: Path, /, **fields: Any) -> GraphOptions:
    base: dict[str, Any] = {"embodiment": "ur5e", "checkpoint": str(checkpoint), "caller": {}}
    return GraphOptions(**{**base, **fields})


@pytest.mark.parametrize(("embodiment", "hardware"), COMBINATIONS)
def test_every_graph_is_its_hardware_and_the_suite(
    tmp_path: Path, embodiment: str, hardware: str
) -> None:
    processes = declare(options(tmp_path, embodiment=embodiment, hardware=hardware))
    robot = [] if hardware == "real" else [f"{hardware}_robot"]
    assert [p.name for p in processes] == robot + SUITE
    for process in processes:
        assert process.executable == process.name
        assert process.package == ("pi0_bringup" if process.name in robot else "pi0_ros")
        assert process.parameters["embodiment"] == embodiment
        follows = hardware == "mujoco" and process.name not in robot
        assert process.parameters["use_sim_time"] is follows
        assert process.critical


def test_every_simulated_embodiment_is_a_shipped_one() -> None:
    assert set(available()) >= set(installed_scenes()) > set()


def test_the_policy_stops_first_and_the_robot_last(tmp_path: Path) -> None:
    processes = declare(options(tmp_path))
    by_stop = sorted(processes, key=lambda p: p.stop_order)
    assert [p.name for p in by_stop] == ["policy", "camera_sync", "chunk_executor", "mock_robot"]


def test_the_policy_gets_its_parameters(tmp_path: Path) -> None:
    given = options(tmp_path, prompt="fold: it", device="cuda", num_steps=5, seed=3)
    policy = declare(given)[-1]
    assert policy.parameters == {
        "embodiment": "ur5e",
        "use_sim_time": False,
        "checkpoint": str(tmp_path),
        "remote": "",
        "prompt": "fold: it",
        "device": "cuda",
        "threads": 0,
        "num_steps": 5,
        "seed": 3,
        "strategy": "",
    }


def test_a_strategy_is_handed_on(tmp_path: Path) -> None:
    policy = declare(options(tmp_path, strategy="sequential"))[-1]
    assert policy.parameters["strategy"] == "sequential"


def test_a_server_takes_the_place_of_the_checkpoint() -> None:
    given = GraphOptions(embodiment="ur5e", remote="ws://gpu-box:8000", caller={})
    policy = declare(given)[-1]
    assert policy.parameters["remote"] == "ws://gpu-box:8000"
    assert policy.parameters["checkpoint"] == ""


def test_camera_sync_gets_the_size_of_the_views(tmp_path: Path) -> None:
    camera_sync = declare(options(tmp_path, image_size=112))[-2]
    assert camera_sync.parameters["image_size"] == 112


def test_the_recorder_starts_alone_and_gets_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = GraphOptions(
        embodiment="ur5e", namespace="cell", directory="bags", require_commands=False, caller={}
    )
    (recorder,) = declare_recorder(given)
    assert (recorder.package, recorder.executable) == ("pi0_ros", "recorder")
    assert recorder.namespace == "/cell"
    assert recorder.parameters == {
        "embodiment": "ur5e",
        "use_sim_time": False,
        "directory": str(tmp_path / "bags"),
        "require_commands": False,
        "extra_topics": "",
        "queue_mb": 256,
        "reserve_mb": 512,
    }


def test_the_hardware_alone_needs_no_checkpoint() -> None:
    given = GraphOptions(embodiment="ur5e", hardware="mock", caller={})
    assert [p.name for p in declare_hardware(given)] == ["mock_robot"]


@pytest.mark.parametrize("wish", [True, False])
def test_sim_time_can_be_chosen_against_the_hardware(tmp_path: Path, wish: bool) -> None:
    processes = declare(options(tmp_path, use_sim_time=wish))
    assert {p.parameters["use_sim_time"] for p in processes} == {wish}


@pytest.mark.parametrize(
    ("given", "absolute"), [("", "/"), ("left", "/left"), ("/cell_1/left", "/cell_1/left")]
)
def test_namespaces_become_absolute(tmp_path: Path, given: str, absolute: str) -> None:
    assert {p.namespace for p in declare(options(tmp_path, namespace=given))} == {absolute}


def test_the_path_of_an_embodiment_file_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(__file__).parents[2] / "embodiments" / "ur5e.yaml"
    (tmp_path / "mine.yaml").write_text(shipped.read_text())
    monkeypatch.chdir(tmp_path)
    processes = declare(options(tmp_path, embodiment="mine.yaml"))
    assert processes[0].parameters["embodiment"] == str(tmp_path / "mine.yaml")


def test_relative_checkpoints_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trained").mkdir()
    monkeypatch.chdir(tmp_path)
    policy = declare(options(Path("trained")))[-1]
    assert policy.parameters["checkpoint"] == str(tmp_path / "trained")


@pytest.mark.parametrize("more", [{}, {"FASTDDS_DEFAULT_PROFILES_FILE": "read by no program.xml"}])
def test_the_shipped_fast_dds_profile_is_used(tmp_path: Path, more: dict[str, str]) -> None:
    profile = tmp_path / "share/pi0_bringup/config/fastdds.xml"
    profile.parent.mkdir(parents=True)
    profile.touch()
    caller = {"AMENT_PREFIX_PATH": str(tmp_path), **more}
    process = declare(options(tmp_path, caller=caller))[0]
    assert process.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(profile)


def test_a_fast_dds_profile_of_the_user_is_left_alone(tmp_path: Path) -> None:
    caller = {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}
    process = declare(options(tmp_path, caller=caller))[0]
    assert process.environment.keys() == {"PYTHONUNBUFFERED"}


def test_an_unknown_embodiment_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(EmbodimentError, match="did you mean 'ur5e'"):
        declare(options(tmp_path, embodiment="ur5"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hardware": "gazebo"}, "unknown hardware 'gazebo'; give one of mujoco, mock, real"),
        ({"hardware": "mujoco"}, "no MuJoCo simulation of embodiment 'ur5e'; .*bimanual_trossen"),
        ({"scene": "desk"}, "scene is 'desk' and hardware is 'mock'"),
        (
            {"embodiment": "bimanual_trossen", "hardware": "mujoco", "scene": "desk"},
            "no scene 'desk' of embodiment 'bimanual_trossen'; give one of transfer_cube",
        ),
        ({"checkpoint": ""}, "no checkpoint given"),
        ({"checkpoint": "/no/such"}, "checkpoint '/no/such' does not exist"),
        ({"remote": "gpu-box:8000"}, "remote is 'gpu-box:8000'; give ws://HOST:PORT"),
        ({"remote": "ws://gpu-box:8000"}, "and remote is 'ws://gpu-box:8000'; give one of them"),
        ({"parameters": "/no/such"}, "parameters is '/no/such', which is no file"),
        ({"num_steps": 0}, "num_steps is 0; give a whole number of at least 1"),
        ({"namespace": "1st"}, "namespace '1st' is not a ROS namespace"),
        ({"namespace": "left/"}, "namespace 'left/' is not a ROS namespace"),
        ({"namespace": "a//b"}, "namespace 'a//b' is not a ROS namespace"),
    ],
)
def test_refuses_bad_options(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        declare(options(tmp_path, **fields))


def test_a_parameter_file_goes_to_every_node_after_what_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "tuning.yaml"
    file.write_text("chunk_executor: {ros__parameters: {splice_s: 0.3}}")
    for process in declare(options(tmp_path, parameters=str(file))):
        assert process.parameter_file == str(file)
        environment = {"AMENT_PREFIX_PATH": str(tmp_path)}
        program = tmp_path / "lib" / process.package / process.executable
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(mode=0o755)
        assert command_line(process, environment)[-2:] == ("--params-file", str(file))


@pytest.mark.parametrize("text", ["splice_s: 0.3", "chunk_executor: {splice_s: 0.3}", "[", "3"])
def test_refuses_what_is_no_ros_parameter_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tuning.yaml"
    file.write_text(text)
    with pytest.raises(GraphError, match=r"tuning.yaml' (is no ROS parameter|cannot be read)"):
        declare(options(tmp_path, parameters=str(file)))
