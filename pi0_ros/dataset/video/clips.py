"""Clips in mp4 files: joining them without re-encoding, and reading single frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.errors import DatasetError

#: Largest difference [s] between the requested time and a frame's time; the same as LeRobot's.
TOLERANCE_S = 1e-4
#: For a frame further ahead than this, seek instead of decoding all frames in between.
_DECODE_AHEAD = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One episode in an mp4, from the time of its first frame to the end of its last frame [s]."""

    path: Path
    from_s: float
    to_s: float


class ClipJoiner:
    """Joins clips into one mp4 by copying their packets."""

    def __init__(self, path: Path, fps: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._fps = path, fps
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream: Any = None
        self._frames = 0
        self._format: tuple[Any, ...] | None = None
        self.bytes = 0

    def append(self, clip: Clip) -> tuple[float, float]:
        """Append a clip and return its start and end in this file [s]."""
        expected = round((clip.to_s - clip.from_s) * self._fps)
        copied = 0
        with _opened(clip.path) as source:
            video = source.streams.video[0]
            self._match(clip.path, video)
            offset = Fraction(clip.from_s).limit_denominator(10**7)
            source.seek(int(offset / video.time_base), stream=video, backward=True)
            for packet in source.demux(video):
                if packet.dts is None or packet.pts is None:
                    continue
                index = round((packet.pts * video.time_base - offset) * self._fps)
                if not 0 <= index < expected:
                    if copied == expected:
                        break
                    continue
                delay = round((packet.pts - packet.dts) * video.time_base * self._fps)
                packet.time_base = Fraction(1, self._fps)
                packet.pts = self._frames + index
                packet.dts = packet.pts - delay
                packet.duration = 1
                packet.stream = self._stream
                self.bytes += packet.size
                self._container.mux_one(packet)
                copied += 1
        if copied != expected:
            raise DatasetError(
                f"{clip.path}: {copied} frames from {clip.from_s:.4f} s to {clip.to_s:.4f} s,"
                f" {expected} expected"
            )
        start = self._frames
        self._frames += expected
        return start / self._fps, self._frames / self._fps

    def close(self) -> None:
        """Finish the file."""
        self._container.close()

    def _match(self, path: Path, video: Any) -> None:
        """Require the format of the first clip."""
        context = video.codec_context
        found = (context.name, context.width, context.height, context.pix_fmt)
        if self._format is None:
            self._format = found
            self._stream = self._container.add_stream_from_template(video, opaque=True)
            self._stream.time_base = Fraction(1, self._fps)
        if found != self._format:
            raise DatasetError(
                f"{path}: {_describe(found)} cannot be joined to {_describe(self._format)};"
                " convert the bags again with one --codec and --size"
            )


class VideoReader:
    """Reads frames of one mp4 by time; it reaches near frames without seeking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container = _opened(path)
        self._stream = self._container.streams.video[0]
        # With small frames and frequent key frames, decoder threads only delay the first frame.
        self._stream.codec_context.thread_count = 1
        self._step_s = 1.0 / float(self._stream.average_rate or 1)
        self._frames: Any = None
        self._now: tuple[float, Any] | None = None

    def frame(self, time_s: float) -> NDArray[np.uint8]:
        """RGB pixels (H, W, 3) of the frame at a time.

        Raises :class:`DatasetError` if there is none within :data:`TOLERANCE_S`.
        """
        ahead = None if self._now is None else time_s - self._now[0]
        if ahead is None or not -TOLERANCE_S <= ahead <= _DECODE_AHEAD * self._step_s:
            self._seek(time_s)
        while self._now is None or self._now[0] < time_s - TOLERANCE_S:
            if not self._next():
                break
        if self._now is None or abs(self._now[0] - time_s) > TOLERANCE_S:
            nearest = "none" if self._now is None else f"{self._now[0]:.6f} s"
            raise DatasetError(f"{self._path}: no frame at {time_s:.6f} s; the nearest: {nearest}")
        pixels: NDArray[np.uint8] = self._now[1].to_ndarray(format="rgb24")
        return pixels

    def close(self) -> None:
        """Close the file."""
        self._frames = self._now = None
        self._container.close()

    def _seek(self, time_s: float) -> None:
        target = max(0, int((time_s + TOLERANCE_S) / self._stream.time_base))
        self._container.seek(target, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        self._now = None

    def _next(self) -> bool:
        try:
            frame = next(self._frames, None)
        except av.FFmpegError as error:
            raise DatasetError(f"{self._path}: cannot be decoded: {error}") from error
        if frame is None:
            return False
        self._now = (float(frame.pts * self._stream.time_base), frame)
        return True


def frame_times(path: Path) -> NDArray[np.float64]:
    """Presentation time of each frame in a file [s], in order; nothing is decoded."""
    with _opened(path) as container:
        video = container.streams.video[0]
        base = video.time_base
        found = [float(p.pts * base) for p in container.demux(video) if p.pts is not None]
    return np.sort(np.array(found))


def duration_s(path: Path) -> float:
    """Duration of the video in a file [s]; 0 if the file does not state it."""
    with _opened(path) as container:
        video = container.streams.video[0]
        return float((video.duration or 0) * video.time_base)


def _opened(path: Path) -> Any:
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise DatasetError(f"{path}: cannot be opened: {error}") from error
    if not container.streams.video:
        container.close()
        raise DatasetError(f"{path}: has no video stream")
    return container


def _describe(found: tuple[Any, ...]) -> str:
    name, width, height, pixel_format = found
    return f"{name} {width}x{height} {pixel_format}"
