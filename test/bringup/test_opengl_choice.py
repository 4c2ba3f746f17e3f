"""The choice of MuJoCo's OpenGL back end."""

from __future__ import annotations

from pi0_bringup.simulation.opengl import choose_backend


def test_leaves_the_users_choice() -> None:
    environment = {"MUJOCO_GL": "glfw"}
    assert choose_backend(environment, lambda _: True) == "glfw"


def test_prefers_egl() -> None:
    environment: dict[str, str] = {}
    assert choose_backend(environment, lambda _: True) == "egl"
    assert environment == {"MUJOCO_GL": "egl"}


def test_falls_back_to_osmesa() -> None:
    assert choose_backend({}, lambda library: "OSMesa" in library) == "osmesa"


def test_sets_nothing_where_there_is_neither() -> None:
    environment: dict[str, str] = {}
    assert choose_backend(environment, lambda _: False) is None
    assert environment == {}
