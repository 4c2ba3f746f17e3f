"""Offscreen rendering of camera views, without costly effects."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from pi0_bringup.simulation.opengl import INSTALL_HINT

#: On a software renderer these effects cost ten times as much as the drawing itself.
_EFFECTS = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
)


class ViewRenderer:
    """Draws cameras of one model at one size, without shadows or multisampling.

    An OpenGL context belongs to one thread: construct, use and close the renderer in the same
    thread. Raises RuntimeError that says what to install if there is no OpenGL.
    """

    def __init__(self, model: mujoco.MjModel, height: int, width: int) -> None:
        # MuJoCo reads these when it makes the context: no shadow map, no multisampling.
        model.vis.quality.shadowsize = 0
        model.vis.quality.offsamples = 0
        model.vis.global_.offheight = max(height, model.vis.global_.offheight)
        model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:  # each back end raises another type
            raise RuntimeError(f"cannot render offscreen: {error}; {INSTALL_HINT}") from error
        for effect in _EFFECTS:
            self._renderer.scene.flags[effect] = 0

    def render(self, data: mujoco.MjData, camera: str) -> NDArray[np.uint8]:
        """The view of one camera: uint8 RGB, shape (height, width, 3)."""
        self._renderer.update_scene(data, camera=camera)
        view: NDArray[np.uint8] = self._renderer.render()
        return view

    def close(self) -> None:
        """Release the OpenGL context."""
        self._renderer.close()
