"""Which simulated scenes are installed, by the entry points that declare them.

A package that simulates an embodiment declares each scene in its ``setup.py``, in the group
``pi0_bringup.scenes``, as ``EMBODIMENT.SCENE = module:factory``. Only the names are read here:
the module of a scene, which loads a physics engine, is imported by the program that runs it.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from pi0_ros.graph.options import GraphError

GROUP = "pi0_bringup.scenes"


def installed_scenes() -> dict[str, dict[str, EntryPoint]]:
    """The entry point of every installed scene, by embodiment and by name of the scene."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        embodiment, _, scene = point.name.partition(".")
        found.setdefault(embodiment, {})[scene] = point
    return found


def find_scene(embodiment: str, scene: str = "") -> tuple[str, EntryPoint]:
    """Name and entry point of a scene of an embodiment; "" finds the only one there is.

    Raises :class:`GraphError` that names the installed scenes.
    """
    found = installed_scenes()
    if not found:
        raise GraphError(
            "no simulated scene is installed: no package declares an entry point in the group "
            f"{GROUP}; install pi0_bringup, with `make setup` or `colcon build`"
        )
    scenes = found.get(embodiment)
    if scenes is None:
        known = ", ".join(f"{name} ({', '.join(each)})" for name, each in found.items())
        raise GraphError(
            f"no MuJoCo simulation of embodiment {embodiment!r}; installed are scenes of {known}. "
            "Give hardware mock (joints with a lag, test-pattern cameras) or real."
        )
    if not scene and len(scenes) > 1:
        raise GraphError(f"{embodiment} has several scenes; give scene {' or '.join(scenes)}")
    name = scene or next(iter(scenes))
    if name not in scenes:
        raise GraphError(
            f"no scene {scene!r} of embodiment {embodiment!r}; give one of {', '.join(scenes)}"
        )
    return name, scenes[name]
