"""Finds Python and ROS on this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bootstrap.errors import SetupError

OLDEST = (3, 10)
NEWEST = (3, 13)

# Run with -I, so that nothing installed is imported. The start-up hook of the ROS wheels would
# start the interpreter a second time, so -S is added unless the code looks for rclpy.
_FACTS = """
import importlib.util, json, platform, sys, sysconfig
print(json.dumps({
    "executable": getattr(sys, "_base_executable", sys.executable),
    "version": list(sys.version_info[:2]),
    "machine": platform.machine(),
    "include": sysconfig.get_path("include"),
    "has_venv": bool(importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv")),
}))
"""
_HAS_RCLPY = "import importlib.util, sys; sys.exit(importlib.util.find_spec('rclpy') is None)"


class Mode(Enum):
    """Where the ROS packages come from."""

    WHEELS = "wheels"
    SOURCED = "sourced"


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter outside any virtual environment."""

    executable: str
    version: tuple[int, int]
    machine: str
    include: Path
    has_venv: bool

    @property
    def name(self) -> str:
        return f"python{self.version[0]}.{self.version[1]}"


@dataclass(frozen=True)
class Host:
    """The source of ROS and the interpreter with which the environment is created."""

    mode: Mode
    python: Interpreter


def inspect(executable: str) -> Interpreter:
    """Query an interpreter. Raises SetupError if it does not run."""
    try:
        answer = subprocess.run(
            [executable, "-I", "-S", "-c", _FACTS], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(
            f"the interpreter {executable} does not run: {error}",
            fix="name one that does: `make setup PYTHON=/usr/bin/python3`",
        ) from error
    facts = json.loads(answer.stdout)
    return Interpreter(
        executable=facts["executable"],
        version=(facts["version"][0], facts["version"][1]),
        machine=facts["machine"],
        include=Path(facts["include"]),
        has_venv=facts["has_venv"],
    )


def imports_rclpy(executable: str) -> bool:
    """Whether this interpreter finds rclpy in the present shell environment."""
    try:
        return subprocess.run([executable, "-c", _HAS_RCLPY], check=False).returncode == 0
    except OSError:
        return False


def choose_mode(environment: Mapping[str, str]) -> Mode:
    """Use a sourced ROS 2 Jazzy if there is one, else the wheels.

    Raises SetupError if another ROS release is sourced, whose libraries would mix with Jazzy's.
    """
    distro = environment.get("ROS_DISTRO", "")
    if distro not in ("", "jazzy"):
        raise SetupError(
            f"ROS_DISTRO is {distro!r}; the suite is for ROS 2 Jazzy",
            fix="source /opt/ros/jazzy/setup.bash instead, or use a shell in which no ROS is "
            "sourced: the set-up then brings its own Jazzy",
        )
    if distro == "jazzy" and environment.get("AMENT_PREFIX_PATH"):
        return Mode.SOURCED
    return Mode.WHEELS


def choose_interpreter(mode: Mode, candidates: Sequence[str]) -> str:
    """The first candidate; with a sourced ROS the first that imports rclpy."""
    if mode is Mode.WHEELS:
        return candidates[0]
    for candidate in candidates:
        if imports_rclpy(candidate):
            return candidate
    raise SetupError(
        "ROS 2 Jazzy is sourced, but rclpy is found by none of " + ", ".join(candidates),
        fix="apt-get install ros-jazzy-rclpy, or use a shell in which no ROS is sourced: "
        "the set-up then brings its own Jazzy",
    )


def check(mode: Mode, python: Interpreter) -> None:
    """Raise SetupError if there are no wheels for this interpreter or processor."""
    if not OLDEST <= python.version <= NEWEST:
        raise SetupError(
            f"{python.executable} is Python {python.version[0]}.{python.version[1]}; "
            f"the suite needs {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}",
            fix="install one of these and name it: `make setup PYTHON=python3.12`",
        )
    if mode is Mode.WHEELS and python.machine != "x86_64":
        raise SetupError(
            f"this processor is {python.machine}; the ROS wheels exist for x86_64 only",
            fix="install ROS 2 Jazzy (Ubuntu 24.04 has it also for arm64), "
            "source /opt/ros/jazzy/setup.bash and run again",
        )


def find_host(environment: Mapping[str, str], own_executable: str) -> Host:
    """Decide on mode and interpreter. Raises SetupError naming what was found and the fix."""
    mode = choose_mode(environment)
    python = inspect(choose_interpreter(mode, (own_executable, "/usr/bin/python3")))
    check(mode, python)
    return Host(mode=mode, python=python)
