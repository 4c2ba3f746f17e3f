"""Rendering beside the physics: a thread draws all cameras of one instant."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

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
        self._stamp_ns = 0
        self._sink: FramesSink | None = None
        self._wanted = threading.Event()
        self._idle = threading.Event()
        self._closing = False
        self.failure: Exception | None = None
        #: Time each of the last sets took to draw [s].
        self.durations_s: deque[float] = deque(maxlen=100)
        self._thread = threading.Thread(
            target=self._run, args=(height, width), name="render", daemon=True
        )
        self._thread.start()
        self._idle.wait()
        self._raise_failure()

    def submit(self, stamp_ns: int, data: mujoco.MjData, sink: FramesSink) -> None:
        """Draw this instant; the thread passes the frames to ``sink``.

        Raises RuntimeError if drawing an earlier one failed.
        """
        self._idle.wait()
        self._raise_failure()
        mujoco.mj_copyData(self._snapshot, self._model, data)
        self._stamp_ns, self._sink = stamp_ns, sink
        self._idle.clear()
        self._wanted.set()

    def wait_idle(self) -> None:
        """Return when the frames of every snapshot were passed on."""
        self._idle.wait()
        self._raise_failure()

    def close(self) -> None:
        """Finish the set being drawn and release the context."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise RuntimeError(str(self.failure)) from self.failure

    def _run(self, height: int, width: int) -> None:
        try:
            renderer = ViewRenderer(self._model, height, width)
        except RuntimeError as error:
            self.failure = error
            self._idle.set()
            return
        try:
            self._serve(renderer)
        except Exception as error:  # the physics thread reports it
            self.failure = error
        finally:
            renderer.close()
            self._idle.set()

    def _serve(self, renderer: ViewRenderer) -> None:
        while True:
            self._idle.set()
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                return
            begin = time.perf_counter()
            frames = {camera: renderer.render(self._snapshot, camera) for camera in self._cameras}
            self.durations_s.append(time.perf_counter() - begin)
            if self._sink is not None:
                self._sink(self._stamp_ns, frames)
