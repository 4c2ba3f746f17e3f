"""Video encoding with LeRobot's defaults: AV1, yuv420p, a key frame every second frame."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.video.packet_repeater import (
    WIDEST_GOP,
    EncodeEveryFrame,
    RepeatPackets,
)

PIXEL_FORMAT = "yuv420p"
#: Frames that may wait for an encoder before the caller blocks.
_QUEUE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Settings of a video encoder. ``gop``: encoded frames from one key frame to the next."""

    name: str
    encoder: str
    crf: int
    preset: str
    gop: int = 2
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeats_packets(self) -> bool:
        """Whether repeating a packet may replace encoding its frame again."""
        return self.encoder == "libsvtav1" and self.gop <= WIDEST_GOP

    def encoder_options(self) -> dict[str, str]:
        """Options of the FFmpeg encoder."""
        return {"g": str(self.gop), "crf": str(self.crf), "preset": self.preset, **self.options}

    def info(self, height: int, width: int, fps: int) -> dict[str, Any]:
        """Description of a video feature for meta/info.json."""
        return {
            "video.height": height,
            "video.width": width,
            "video.codec": self.name,
            "video.pix_fmt": PIXEL_FORMAT,
            "is_depth_map": False,
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
            "video.g": self.gop,
            "video.crf": self.crf,
            "video.preset": int(self.preset) if self.preset.isdigit() else self.preset,
            "video.fast_decode": 0,
            "video.video_backend": "pyav",
            "video.extra_options": dict(self.options),
        }


# Without B-frames, frames are decoded in display order, so that clips can be joined.
_X26X = {"bf": "0"}
# One thread per encoder, because cameras and bags are already encoded in parallel.
# No loop filters: on 224-pixel frames they cost a quarter of the time and gain 0.07 grey levels.
_SVT = {"svtav1-params": "lp=1:enable-cdef=0:enable-dlf=0"}
CODECS: Mapping[str, Codec] = {
    "av1": Codec(name="av1", encoder="libsvtav1", crf=30, preset="12", options=_SVT),
    "h264": Codec(name="h264", encoder="libx264", crf=23, preset="veryfast", options=_X26X),
    "hevc": Codec(name="hevc", encoder="libx265", crf=28, preset="veryfast", options=_X26X),
}


def codec_named(name: str, gop: int | None = None) -> Codec:
    """A codec by name; ``gop`` replaces its key frame distance. Raises :class:`DatasetError`."""
    if name not in CODECS:
        raise DatasetError(f"codec {name!r} is unknown; use one of {', '.join(CODECS)}, images")
    codec = CODECS[name]
    import av

    if codec.encoder not in av.codecs_available:
        raise DatasetError(
            f"codec {name}: this PyAV has no encoder {codec.encoder}; install the pinned one"
            " (`make setup`), or use another codec"
        )
    return codec if gop is None else replace(codec, gop=gop)


class VideoEncoder:
    """Encodes one episode of one camera as an mp4 in its own thread.

    The first frame sets the size. The next call raises an error of the thread.
    """

    def __init__(self, path: Path, codec: Codec, fps: int) -> None:
        # Suppresses the banner; read when the process creates its first encoder.
        os.environ.setdefault("SVT_LOG", "1")
        self._path, self._codec, self._fps = path, codec, fps
        self._size = (0, 0)
        self._queue: queue.Queue[NDArray[np.uint8] | bool | None] = queue.Queue(_QUEUE)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"encode {path.stem}", daemon=True)

    def add(self, image: NDArray[np.uint8]) -> None:
        """Encode a frame (H, W, 3) of RGB; the array must not change afterwards.

        Raises :class:`DatasetError` if a side is odd.
        """
        if self._thread.ident is None:
            height, width = image.shape[:2]
            self._size = height, width
            if height % 2 or width % 2:
                raise DatasetError(
                    f"{self._path.stem}: frames of {width}x{height} cannot be encoded as"
                    f" {PIXEL_FORMAT}, which needs even sides; use --size, or --codec images"
                )
            self._thread.start()
        self._put(image)

    def repeat(self) -> None:
        """Show the last frame once more."""
        self._put(True)

    def close(self) -> None:
        """Wait until all frames are written."""
        if self._thread.ident is not None:
            self._put(None)
            self._thread.join()
            self._raise()

    def abandon(self) -> None:
        """Stop the thread; the file is incomplete."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _put(self, item: NDArray[np.uint8] | bool | None) -> None:
        self._raise()
        self._queue.put(item)

    def _raise(self) -> None:
        if self._error is not None:
            raise DatasetError(f"{self._path}: cannot be encoded: {self._error}") from self._error

    def _run(self) -> None:
        try:
            self._encode()
        except Exception as error:  # any error: otherwise the caller would block forever
            self._error = error
            while self._queue.get() is not None:  # unblock the caller until its next call
                pass

    def _encode(self) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        height, width = self._size
        reformatter = VideoReformatter()
        first = True
        # No faststart: the file is read only once and then deleted.
        with av.open(str(self._path), "w") as container:
            stream = container.add_stream(
                self._codec.encoder, rate=self._fps, options=self._codec.encoder_options()
            )
            stream.width, stream.height, stream.pix_fmt = width, height, PIXEL_FORMAT
            kind = RepeatPackets if self._codec.repeats_packets else EncodeEveryFrame
            packets = kind(container, stream, self._fps)
            while (item := self._queue.get()) is not None:
                if isinstance(item, bool):
                    packets.repeat()
                    continue
                rgb = av.VideoFrame.from_ndarray(item, format="rgb24")
                packets.show(reformatter.reformat(rgb, format=PIXEL_FORMAT, threads=1))
                if first:
                    _drop_realtime_priority()
                    first = False
            packets.finish()


def _drop_realtime_priority() -> None:
    """Schedule this process's real-time threads as batch work.

    SVT-AV1 gives its threads real-time priority if it is allowed to, as root in a container. A
    conversion would then preempt the control loop of an arm on the same machine.
    """
    for task in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # the thread has ended
            if os.sched_getscheduler(int(task)) in (os.SCHED_FIFO, os.SCHED_RR):
                os.sched_setscheduler(int(task), os.SCHED_BATCH, os.sched_param(0))
