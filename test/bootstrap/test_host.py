"""Where Python and ROS come from, and what is said when they cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import host
from bootstrap.errors import SetupError
from bootstrap.host import Interpreter, Mode

JAZZY = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": "/opt/ros/jazzy"}


def interpreter(version: tuple[int, int] = (3, 12), machine: str = "x86_64") -> Interpreter:
    return Interpreter(
        executable="/usr/bin/python3",
        version=version,
        machine=machine,
        include=Path("/usr/include/python3"),
        has_venv=True,
    )


def test_a_machine_without_ros_gets_the_wheels() -> None:
    assert host.choose_mode({"PATH": "/usr/bin"}) is Mode.WHEELS


def test_a_sourced_jazzy_is_used() -> None:
    assert host.choose_mode(JAZZY) is Mode.SOURCED


def test_a_distribution_name_without_prefixes_is_no_sourced_ros() -> None:
    assert host.choose_mode({"ROS_DISTRO": "jazzy"}) is Mode.WHEELS


def test_another_distribution_is_refused_by_name() -> None:
    with pytest.raises(SetupError, match="ROS_DISTRO is 'humble'") as caught:
        host.choose_mode({**JAZZY, "ROS_DISTRO": "humble"})
    assert "/opt/ros/jazzy/setup.bash" in caught.value.fix


def test_with_a_sourced_ros_the_interpreter_that_finds_rclpy_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "imports_rclpy", lambda executable: executable == "/usr/bin/python3")
    chosen = host.choose_interpreter(Mode.SOURCED, ("/home/me/python3", "/usr/bin/python3"))
    assert chosen == "/usr/bin/python3"


def test_a_sourced_ros_without_rclpy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "imports_rclpy", lambda executable: False)
    with pytest.raises(SetupError, match="rclpy is found by none of a, b") as caught:
        host.choose_interpreter(Mode.SOURCED, ("a", "b"))
    assert "ros-jazzy-rclpy" in caught.value.fix


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12), (3, 13)])
def test_python_versions_with_wheels_are_taken(version: tuple[int, int]) -> None:
    host.check(Mode.WHEELS, interpreter(version))


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_other_python_versions_are_refused_by_number(version: tuple[int, int]) -> None:
    with pytest.raises(
        SetupError, match=rf"is Python 3\.{version[1]}; .* 3\.10 to 3\.13"
    ) as caught:
        host.check(Mode.WHEELS, interpreter(version))
    assert "make setup PYTHON=" in caught.value.fix


def test_the_wheels_are_refused_on_another_processor() -> None:
    with pytest.raises(SetupError, match="aarch64") as caught:
        host.check(Mode.WHEELS, interpreter(machine="aarch64"))
    assert "ROS 2 Jazzy" in caught.value.fix


def test_a_sourced_ros_runs_on_another_processor() -> None:
    host.check(Mode.SOURCED, interpreter(machine="aarch64"))


def test_inside_an_environment_the_interpreter_behind_it_is_found() -> None:
    found = host.inspect(sys.executable)
    assert found.version == sys.version_info[:2]
    assert Path(found.executable).resolve() == Path(sys._base_executable).resolve()


def test_an_interpreter_that_does_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no_python does not run"):
        host.inspect(str(tmp_path / "no_python"))


def test_the_entry_point_parses_under_old_pythons() -> None:
    """What it says there cannot be run here; that it compiles for 3.7 can."""
    import ast

    folder = Path(host.__file__).parent
    for name in ("__init__.py", "__main__.py"):
        ast.parse((folder / name).read_text(encoding="utf-8"), feature_version=(3, 7))


def test_the_command_describes_itself() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "bootstrap", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(host.__file__).parents[1],
    )
    assert "steps of the set-up" in answer.stdout
