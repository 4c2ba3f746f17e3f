"""Paths of installed programs and files, found through the ament index without rclpy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


def prefixes(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Installation prefixes, nearest overlay first.

    The prefixes of ``AMENT_PREFIX_PATH`` come first, then the prefix of this interpreter: a virtual
    environment with the ROS wheels needs no sourcing.
    """
    named = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    found = [Path(text) for text in named if text] + [Path(sys.prefix)]
    return tuple(dict.fromkeys(found))


def find_executable(package: str, executable: str, environment: Mapping[str, str]) -> Path:
    """Path of ``<prefix>/lib/<package>/<executable>``.

    Raises :class:`FileNotFoundError`, which lists the searched paths.
    """
    places = list(_places(f"lib/{package}/{executable}", environment))
    for path in places:
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(
        f"program {executable!r} of package {package!r} is not installed "
        f"(looked for {', '.join(map(str, places))}); build the workspace with "
        "`colcon build` and source its install/setup.bash"
    )


def find_share_file(package: str, name: str, environment: Mapping[str, str]) -> Path | None:
    """Path of ``<prefix>/share/<package>/<name>``, or None."""
    found = (p for p in _places(f"share/{package}/{name}", environment) if p.is_file())
    return next(found, None)


def _places(relative: str, environment: Mapping[str, str]) -> Iterator[Path]:
    return (prefix / relative for prefix in prefixes(environment))
