"""Rendering beside the physics: a thread draws all cameras of one instant."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import mujoco
import numpy as np
from numpy.typing import NDArray

from pi0_bringup.simulation.rendering import ViewRenderer

Frames = Mapping[str, NDArray[np.uint8]]
#: Called in the rendering thread with the instant [ns] and a frame of each camera.
FramesSink = Callable[[int, Frames], None]


class RenderThread:
    """Draws every snapshot that the physics thread submits, one at a time.

    :meth:`submit` waits while the previous snapshot is being drawn. Slow rendering therefore
    slows simulated time down and loses no frame. The constructor returns when the OpenGL context
    exists and raises RuntimeError if it cannot be created.
    """

    def __init__(
        self, model: mujoco.MjModel, height: int, width: int, cameras: tuple[str, ...]
    ) -> None:
        self._model = model
        self._snapshot = mujoco.MjData(model)
        self._cameras = cameras
        #: Time each of the last sets took to draw [s].
        self.durations_s: deque[float] = deque(maxlen=100)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="render")
        self._drawing: Future[None] | None = None
        # The OpenGL context belongs to the thread that makes it.
        self._renderer = self._thread.submit(ViewRenderer, model, height, width).result()

    def submit(self, stamp_ns: int, data: mujoco.MjData, sink: FramesSink) -> None:
        """Draw this instant; the thread passes the frames to ``sink``.

        Raises RuntimeError if drawing an earlier one failed.
        """
        self.wait_idle()
        mujoco.mj_copyData(self._snapshot, self._model, data)
        self._drawing = self._thread.submit(self._draw, stamp_ns, sink)

    def wait_idle(self) -> None:
        """Return when the frames of every snapshot were passed on. Raises as :meth:`submit`."""
        error = None if self._drawing is None else self._drawing.exception()
        if error is not None:
            raise RuntimeError(str(error)) from error

    def close(self) -> None:
        """Finish the set being drawn and release the context."""
        self._thread.submit(self._renderer.close)
        self._thread.shutdown()

    def _draw(self, stamp_ns: int, sink: FramesSink) -> None:
        begin = time.perf_counter()
        frames = {camera: self._renderer.render(self._snapshot, camera) for camera in self._cameras}
        self.durations_s.append(time.perf_counter() - begin)
        sink(stamp_ns, frames)
