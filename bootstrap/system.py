"""Packages of the operating system: checked by what they provide, installed with apt."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.host import Host, Mode
from bootstrap.report import Log

_DRIVER_PATTERNS = ("dri/swrast_dri.so", "libgallium-*.so", "libEGL_nvidia.so.0")


@dataclass(frozen=True)
class Need:
    """Something that the suite requires, and the Debian package that provides it."""

    what: str
    package: str
    present: Callable[[], bool]


def has_command(*names: str) -> bool:
    """Whether one of the commands is on PATH."""
    return any(shutil.which(name) for name in names)


def has_library(*names: str) -> bool:
    """Whether the loader finds one of the shared libraries."""
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def has_gl_driver(folders: Sequence[Path] | None = None) -> bool:
    """Whether EGL has a driver: Mesa's software renderer or a vendor's driver."""
    if folders is None:
        folders = (Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib/aarch64-linux-gnu"))
        folders += (Path("/usr/lib64"), Path("/usr/lib"))
    return any(
        next(folder.glob(pattern), None) for folder in folders for pattern in _DRIVER_PATTERNS
    )


def needs(host: Host, environment: Mapping[str, str]) -> Iterator[Need]:
    """Requirements of building the messages, of the environment and of headless rendering."""
    python = host.python
    yield Need("venv module", f"{python.name}-venv", lambda: python.has_venv)
    yield Need("Python.h", f"{python.name}-dev", (python.include / "Python.h").exists)
    yield Need("C compiler", "gcc", lambda: has_command("cc", "gcc"))
    yield Need("C++ compiler", "g++", lambda: has_command("c++", "g++"))
    yield Need("make", "make", lambda: has_command("make"))
    yield Need("libEGL.so.1", "libegl1", lambda: has_library("libEGL.so.1"))
    yield Need(
        "EGL vendor library",
        "libegl-mesa0",
        lambda: has_library("libEGL_mesa.so.0", "libEGL_nvidia.so.0"),
    )
    yield Need("libOpenGL.so.0", "libopengl0", lambda: has_library("libOpenGL.so.0", "libGL.so.1"))
    yield Need("OpenGL driver", "libgl1-mesa-dri", has_gl_driver)
    if host.mode is Mode.SOURCED:
        yield Need("cmake", "cmake", lambda: has_command("cmake"))
        prefixes = [Path(path) for path in environment["AMENT_PREFIX_PATH"].split(os.pathsep)]
        for package in ("ament_cmake", "rosidl_default_generators"):
            yield _ros_package(package, prefixes)


def _ros_package(package: str, prefixes: Sequence[Path]) -> Need:
    return Need(
        package,
        "ros-jazzy-" + package.replace("_", "-"),
        lambda: any((prefix / "share" / package).exists() for prefix in prefixes),
    )


def install_missing(missing: Sequence[Need], log: Log) -> None:
    """Install the packages with apt, using sudo if the user is not root.

    Raises SetupError with the command to run if that is not possible.
    """
    packages = sorted({need.package for need in missing})
    line = "apt-get install --yes --no-install-recommends " + " ".join(packages)
    problem = "missing on this machine: " + ", ".join(
        f"{need.what} ({need.package})" for need in missing
    )
    prefix = privilege()
    if prefix is None or not has_command("apt-get"):
        raise SetupError(problem, fix=f"run as root: {line}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        log.run([*prefix, "apt-get", "update"], environment=environment)
        log.run([*prefix, *line.split()], environment=environment)
    except SetupError as error:
        raise SetupError(f"{problem}\n{error}", fix=f"run as root: {line}") from error


def privilege() -> list[str] | None:
    """The prefix that runs a command as root; None if there is no way to do so."""
    if os.geteuid() == 0:
        return []
    if has_command("sudo"):
        return ["sudo"]
    return None
