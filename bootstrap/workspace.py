"""The three ROS packages, built by colcon into the virtual environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.environment import child_environment
from bootstrap.host import Mode
from bootstrap.report import Log


@dataclass(frozen=True)
class Package:
    """A ROS package of this repository and the paths of its sources, relative to the root."""

    name: str
    folder: str
    sources: tuple[str, ...]


PACKAGES = (
    Package("pi0_msgs", "pi0_msgs", ("pi0_msgs",)),
    Package(
        "pi0_ros",
        ".",
        (
            *("pi0_ros", "embodiments", "launch", "resource"),
            *("package.xml", "setup.py", "setup.cfg"),
        ),
    ),
    Package("pi0_bringup", "pi0_bringup", ("pi0_bringup",)),
)


def installed_paths(venv: Path, package: str) -> list[Path]:
    """All paths that an earlier build of the package installed in the environment."""
    patterns = (
        f"lib/python3.*/site-packages/{package}",
        f"lib/python3.*/site-packages/{package}-*.egg-info",
        f"lib/lib{package}__*.so",
        f"lib/{package}",
        f"include/{package}",
        f"share/{package}",
    )
    return sorted(path for pattern in patterns for path in venv.glob(pattern))


def build(root: Path, venv: Path, mode: Mode, packages: Sequence[Package], log: Log) -> None:
    """Build the packages from scratch, so that no file of a removed module remains."""
    build_base = root / "build" / "setup"
    for package in packages:
        stale = [*installed_paths(venv, package.name), build_base / package.name]
        for path in stale:
            remove(path)
    log.run(
        [
            *(str(venv / "bin" / "python"), "-m", "colcon", "build"),
            *("--base-paths", *(package.folder for package in PACKAGES)),
            *("--packages-select", *(package.name for package in packages)),
            *("--merge-install", "--install-base", str(venv), "--build-base", str(build_base)),
            *("--event-handlers", "console_cohesion+", "desktop_notification-"),
            "--cmake-args",
            "-DBUILD_TESTING=OFF",
            f"-DPython3_EXECUTABLE={venv / 'bin' / 'python'}",
        ],
        environment=child_environment(venv, mode, os.environ),
        folder=root,
    )


def remove(path: Path) -> None:
    """Remove a file or a folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def verify(venv: Path, mode: Mode, log: Log) -> None:
    """Import the messages through the client library, as every node does."""
    log.run(
        [str(venv / "bin" / "python"), "-c", "import rclpy, pi0_msgs.msg, pi0_ros"],
        environment=child_environment(venv, mode, os.environ),
        folder=venv,
    )
