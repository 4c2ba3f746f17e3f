"""Choice of the OpenGL back end for rendering without a display."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, MutableMapping

#: Back ends that need no display, in order of preference, with the library that each needs.
BACKENDS = (("egl", "libEGL.so.1"), ("osmesa", "libOSMesa.so.8"))

INSTALL_HINT = (
    "install libegl1 and libgl1-mesa-dri (EGL) or libosmesa6 (OSMesa), "
    "or set MUJOCO_GL to a back end this machine has"
)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def choose_backend(
    environment: MutableMapping[str, str] | None = None,
    loads: Callable[[str], bool] = _loads,
) -> str | None:
    """Set ``MUJOCO_GL`` unless it is set, and return it.

    Call this before ``import mujoco``. If no library is installed, it returns None and MuJoCo
    chooses; rendering then fails with :data:`INSTALL_HINT`.
    """
    environment = os.environ if environment is None else environment
    if "MUJOCO_GL" in environment:
        return environment["MUJOCO_GL"]
    for backend, library in BACKENDS:
        if loads(library):
            environment["MUJOCO_GL"] = backend
            return backend
    return None
