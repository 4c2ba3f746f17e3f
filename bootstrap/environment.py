"""The virtual environment: Python packages and, without a ROS installation, all of ROS."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.host import Host, Interpreter, Mode, inspect
from bootstrap.report import Log

_REQUIREMENTS = {
    Mode.WHEELS: ("requirements.txt", "requirements-ros.txt", "requirements-dev.txt"),
    Mode.SOURCED: ("requirements.txt", "requirements-sourced.txt", "requirements-dev.txt"),
}
_ACTIVATION = """
# This environment is an ament prefix too: colcon, CMake and the resource index look here.
AMENT_PREFIX_PATH="$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
CMAKE_PREFIX_PATH="$VIRTUAL_ENV${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}"
export AMENT_PREFIX_PATH CMAKE_PREFIX_PATH
"""
# The build paths of the wheels, which their CMake exports contain.
_BUILD_PYTHON = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
_BUILD_NUMPY = re.compile(
    r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include"
)


def requirement_files(mode: Mode, folder: Path) -> list[Path]:
    """The requirement files of a mode; constraints.txt pins their dependencies."""
    return [folder / name for name in _REQUIREMENTS[mode]]


def no_deps_file(folder: Path) -> Path:
    """The requirements that are installed without their dependencies."""
    return folder / "requirements-scene.txt"


def usable(venv: Path, mode: Mode) -> Interpreter | None:
    """The interpreter behind an existing environment, or None if it must be created.

    A usable environment is kept, whichever interpreter runs the set-up, so that a different PATH
    does not cause another download.
    """
    try:
        text = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
        python = inspect(str(venv / "bin" / "python"))
    except (OSError, SetupError):
        return None
    config = dict(re.findall(r"^(\S+) = (.*)$", text, flags=re.MULTILINE))
    made_for = tuple(int(number) for number in config.get("version", "0.0").split(".")[:2])
    sees_system = config.get("include-system-site-packages") == "true"
    moved = not (venv / "bin" / "pip").exists() or not _shebang_is_inside(venv)
    if made_for != python.version or sees_system != (mode is Mode.SOURCED) or moved:
        return None
    return python


def _shebang_is_inside(venv: Path) -> bool:
    """Whether the scripts point to this folder. After a checkout was moved, they do not."""
    with (venv / "bin" / "pip").open("rb") as script:
        return str(venv).encode() in script.read(512)


def create(venv: Path, host: Host, log: Log) -> None:
    """Create the environment. Its activation script adds it as an ament prefix."""
    shutil.rmtree(venv, ignore_errors=True)
    options = ["--system-site-packages"] if host.mode is Mode.SOURCED else []
    log.run(
        [host.python.executable, "-m", "venv", *options, str(venv)],
        environment=child_environment(venv, host.mode, os.environ),
    )
    with (venv / "bin" / "activate").open("a", encoding="utf-8") as script:
        script.write(_ACTIVATION)


def install(venv: Path, host: Host, folder: Path, log: Log) -> None:
    """Install the pinned requirements and correct the CMake files of the ROS wheels."""
    files = [f"--requirement={file}" for file in requirement_files(host.mode, folder)]
    variables = {
        "PIP_RETRIES": "10",
        "PIP_DEFAULT_TIMEOUT": "60",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **child_environment(venv, host.mode, os.environ),
    }
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-input"]
    log.run([*pip, *files, f"--constraint={folder / 'constraints.txt'}"], environment=variables)
    log.run([*pip, "--no-deps", f"--requirement={no_deps_file(folder)}"], environment=variables)
    if host.mode is Mode.WHEELS:
        mend_cmake_exports(venv, host.python.include)


def mend_cmake_exports(venv: Path, include: Path) -> list[Path]:
    """Point the CMake files of the wheels at this machine's Python and NumPy headers.

    Returns the files changed. Raises SetupError if a path of the wheels' build machine remains.
    """
    numpy = next(venv.glob("lib/python3.*/site-packages/numpy/_core/include"), None)
    if numpy is None:
        raise SetupError(f"no NumPy headers below {venv}", fix="remove .venv and run again")
    changed = []
    for file in sorted(venv.glob("share/**/*.cmake")):
        text = file.read_text(encoding="utf-8")
        corrected = _BUILD_PYTHON.sub(str(include), _BUILD_NUMPY.sub(str(numpy), text))
        if "/opt/python/cp" in corrected:
            raise SetupError(
                f"{file} names a folder of the machine that built it: "
                + corrected[corrected.index("/opt/python/cp") :].split('"')[0].split(";")[0],
                fix="these are other ROS wheels than the pinned ones: see requirements-ros.txt",
            )
        if corrected != text:
            file.write_text(corrected, encoding="utf-8")
            changed.append(file)
    return changed


def child_environment(venv: Path, mode: Mode, parent: Mapping[str, str]) -> dict[str, str]:
    """The variables for pip and colcon: this environment comes first and no other is used.

    The start-up hook of the ROS wheels sets its guard and LD_LIBRARY_PATH for every child of a
    Python that has them. If inherited from another checkout, they would load its libraries.
    """
    dropped = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONHOME", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    if mode is Mode.WHEELS:
        dropped |= {"PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"}
    variables = {name: value for name, value in parent.items() if name not in dropped}
    for name, first in (
        ("PATH", venv / "bin"),
        ("AMENT_PREFIX_PATH", venv),
        ("CMAKE_PREFIX_PATH", venv),
    ):
        rest = [part for part in variables.get(name, "").split(os.pathsep) if part]
        others = [part for part in rest if part != str(first)]
        variables[name] = os.pathsep.join([str(first), *others])
    variables["VIRTUAL_ENV"] = str(venv)
    return variables
