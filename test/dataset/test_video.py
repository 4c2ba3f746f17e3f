"""Encoding and joining of clips, with the real SVT-AV1."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.video.clips import Clip, ClipJoiner, VideoReader
from pi0_ros.dataset.video.encoder import CODECS, Codec, VideoEncoder, codec_named

FPS = 50
FRAMES = 6


def encode(path: Path, codec: Codec, level: int) -> Clip:
    encoder = VideoEncoder(path, codec, FPS)
    for frame in range(FRAMES):
        encoder.add(np.full((64, 64, 3), level + 10 * frame, dtype=np.uint8))
    encoder.close()
    return Clip(path=path, from_s=0.0, to_s=FRAMES / FPS)


def test_an_encoder_leaves_no_thread_with_real_time_priority(tmp_path: Path) -> None:
    encoder = VideoEncoder(tmp_path / "clip.mp4", CODECS["av1"], FPS)
    seen = set()
    for level in range(100):
        encoder.add(np.full((64, 64, 3), level, dtype=np.uint8))
    # The queue holds 32 frames, so 60 frames are encoded and all threads have started.
    for task in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):
            seen.add(os.sched_getscheduler(int(task)))
    encoder.close()
    assert seen
    assert not {os.SCHED_FIFO, os.SCHED_RR} & seen


def test_clips_of_other_encoder_options_join(tmp_path: Path) -> None:
    codec = CODECS["av1"]
    filtered = replace(codec, options={"svtav1-params": "lp=1"})
    clips = [
        encode(tmp_path / "one.mp4", filtered, 20),
        encode(tmp_path / "two.mp4", codec, 120),
        encode(tmp_path / "three.mp4", filtered, 60),
    ]
    joiner = ClipJoiner(tmp_path / "joined.mp4", FPS)
    places = [joiner.append(clip) for clip in clips]
    joiner.close()
    reader = VideoReader(tmp_path / "joined.mp4")
    for (start_s, _), level in zip(places, (20, 120, 60), strict=True):
        for frame in range(FRAMES):
            pixels = reader.frame(start_s + frame / FPS)
            np.testing.assert_allclose(pixels, level + 10 * frame, atol=3)
    reader.close()


@pytest.mark.parametrize(
    ("name", "gop", "encoded_once"),
    [
        ("av1", None, True),
        ("av1", 1, True),
        ("av1", 10, False),
        ("h264", None, False),
        ("h264", 10, False),
    ],
)
def test_a_repeated_frame_is_the_frame_before(
    tmp_path: Path, name: str, gop: int | None, encoded_once: bool
) -> None:
    """Frames in order, at random, and after another clip; bit-equal if they are encoded once."""
    codec = codec_named(name, gop)
    times = [2, 2, 1, 1, 3, 1, 2, 2, 1, 4]
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(40, 200, (16, 16, 1)), np.ones((4, 4, 3))).astype(np.uint8)
    encoder = VideoEncoder(tmp_path / "clip.mp4", codec, FPS)
    for index, count in enumerate(times):
        encoder.add(np.roll(scene, 3 * index, axis=1))
        for _ in range(count - 1):
            encoder.repeat()
    encoder.close()
    clip = Clip(path=tmp_path / "clip.mp4", from_s=0.0, to_s=sum(times) / FPS)
    shown = np.repeat(np.arange(len(times)), times)

    with av.open(str(clip.path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert (len(set(packets)) == len(times)) == encoded_once
    with av.open(str(clip.path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == sum(times)
    firsts = np.flatnonzero(np.diff(shown, prepend=-1))
    for frame, index in enumerate(shown):
        error = np.abs(frames[frame].astype(int) - np.roll(scene, 3 * index, axis=1)).mean()
        assert error < 12  # the previous or next frame differs by 40 or more
        if encoded_once:
            np.testing.assert_array_equal(frames[frame], frames[firsts[index]])

    joiner = ClipJoiner(tmp_path / "joined.mp4", FPS)
    places = [joiner.append(clip) for _ in range(2)]
    joiner.close()
    reader = VideoReader(tmp_path / "joined.mp4")
    for start_s, _ in places:
        for frame in rng.permutation(len(frames)):
            np.testing.assert_array_equal(reader.frame(start_s + frame / FPS), frames[frame])
    reader.close()


def test_whatever_ends_an_encoder_reaches_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_encoder: VideoEncoder) -> None:
        raise MemoryError("no room for a frame")

    monkeypatch.setattr(VideoEncoder, "_encode", broken)
    with pytest.raises(DatasetError, match=r"clip\.mp4: cannot be encoded: no room for a frame"):
        encode(tmp_path / "clip.mp4", CODECS["av1"], 0)
