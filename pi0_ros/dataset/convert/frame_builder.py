"""Builds frames from a bag's messages: observations by the live code, images to their writers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pi0_ros.dataset.convert.actions import (
    STATUS_TOPIC,
    CommandTrack,
    StatusTrack,
    reached_states,
    read_status,
)
from pi0_ros.dataset.convert.bags import Bag
from pi0_ros.dataset.convert.depth import read_depth
from pi0_ros.dataset.convert.frames import FrameGrid, StampedObservation
from pi0_ros.dataset.convert.image_writers import ImageWriter, PngWriter
from pi0_ros.dataset.convert.instructions import INSTRUCTION_TOPIC, InstructionTrack
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.features import camera_key, depth_key
from pi0_ros.dataset.format.staging import video_path
from pi0_ros.dataset.format.stats import ImageCounter, sample_count
from pi0_ros.dataset.video.encoder import VideoEncoder
from pi0_ros.stamps import NS_PER_S, nanoseconds
from pi0_ros.sync import AlignedObservation, Canvas, ObservationBuilder, Views

_REPORT_EVERY_NS = 500_000_000
#: A longer gap [ns] between observations means that the clock was set.
_CLOCK_SET_NS = 60_000_000_000

#: Called with the arrival time [ns] and the message.
Handler = Callable[[int, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFrames:
    """The N frames of an episode; the image writers hold the images.

    ``times_ns`` (N,) on the ROS clock, ``ages_ns`` (N,) of the observation each shows,
    ``states`` (N, S), ``actions`` (N, A). ``tasks``: N instructions in force. ``sizes``: height
    and width of each image.
    """

    times_ns: NDArray[np.int64]
    ages_ns: NDArray[np.int64]
    states: NDArray[np.float64]
    actions: NDArray[np.float64]
    tasks: list[str]
    sizes: dict[str, tuple[int, int]]


class NativeFrames:
    """A canvas that keeps each image at the camera's size."""

    def __init__(self) -> None:
        self.images: dict[str, NDArray[np.uint8]] = {}

    def draw(self, camera: str, image: Image.Image) -> None:
        """Keep a copy of the pixels."""
        self.images[camera] = np.array(image.convert("RGB"))


class FrameBuilder:
    """Builds the frames of one bag. ``writers`` and ``counters``: by feature name."""

    def __init__(self, bag: Bag, options: ConvertOptions, folder: Path) -> None:
        self._bag, self._options = bag, options
        self._robot = robot = bag.embodiment
        self.fps = round(robot.rates.chunk_hz)
        if self.fps != robot.rates.chunk_hz:
            raise DatasetError(
                f"the embodiment's chunk_hz is {robot.rates.chunk_hz:g}; datasets"
                " need a whole number"
            )
        canvas: Canvas = Views(robot, options.size) if options.size else NativeFrames()
        self._observations = ObservationBuilder(robot, canvas)
        self._tracks = [CommandTrack(robot, controller) for controller in robot.controllers]
        self._instructions = InstructionTrack(bag.info)
        self._actions_from = options.actions
        wanted = options.actions in ("auto", "status")
        self._status = read_status(bag) if wanted else StatusTrack(robot)
        if options.actions == "auto":
            # An executor that commanded nothing did not move the robot: take the commands.
            self._actions_from = "commands" if self._status.silent else "status"
        self._grid = FrameGrid(self.fps, self._show)
        self.writers: dict[str, ImageWriter] = {}
        codec = options.video()
        for camera in robot.cameras:
            key = camera_key(camera.name)
            self.writers[key] = (
                VideoEncoder(video_path(folder, key), codec, self.fps) if codec else PngWriter()
            )
        self._depth: dict[str, NDArray[np.uint16]] = {}  # newest by name
        self._depth_stamps: dict[str, int] = {}
        for name, _ in options.depth:
            self.writers[depth_key(name)] = PngWriter()
        frames = max(1, round(bag.info.duration_s * self.fps))
        self._count_every = max(1, frames // sample_count(frames))
        self.counters = {camera_key(camera.name): ImageCounter() for camera in robot.cameras}
        self._shown: dict[str, int] = {}  # stamp of each camera's last frame
        self._sizes: dict[str, tuple[int, int]] = {}
        self._newest_ns = 0
        self._times: list[int] = []
        self._ages_ns: list[int] = []
        self._states: list[NDArray[np.float64]] = []

    def run(self, progress: Callable[[int], None]) -> BuiltFrames:
        """Read the bag once; ``progress`` is called with the arrival time reached [ns].

        Raises :class:`DatasetError` if the bag gives no frame.
        """
        handlers = self._handlers()
        reported_ns = 0
        for source, log_ns, message in self._bag.messages(handlers):
            handlers[source](log_ns, message)
            if log_ns - reported_ns > _REPORT_EVERY_NS:
                reported_ns = log_ns
                progress(log_ns)
        self._grid.finish()
        if not self._times:
            raise DatasetError(self._why_empty())
        times_ns = np.array(self._times, dtype=np.int64)
        states = np.stack(self._states)
        return BuiltFrames(
            times_ns=times_ns,
            ages_ns=np.array(self._ages_ns, dtype=np.int64),
            states=states,
            actions=self._actions(times_ns, states),
            tasks=self._instructions.at(times_ns),
            sizes=dict(self._sizes),
        )

    def close(self) -> None:
        """Wait until all images are encoded."""
        for writer in self.writers.values():
            writer.close()

    def abandon(self) -> None:
        """Stop the encoder threads."""
        for writer in self.writers.values():
            writer.abandon()

    def _actions(
        self, times_ns: NDArray[np.int64], states: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if self._actions_from == "states":
            return reached_states(self._robot, states)
        if self._actions_from == "status":
            return self._status.at(times_ns)
        actions = np.zeros((len(times_ns), len(self._robot.action)))
        for track in self._tracks:
            actions[:, track.packer.indices] = track.at(times_ns)
        return actions

    def _why_empty(self) -> str:
        """Why there is no first frame."""
        silent = [track.controller.topic for track in self._tracks if track.silent]
        if self._actions_from == "commands" and silent:
            return (
                f"nothing was commanded on {', '.join(silent)}; --actions states takes the"
                " measured states instead"
            )
        refused = [
            f"{stream}: {count} {fault.value}"
            for (stream, fault), count in self._observations.report.refusals.items()
        ]
        if self._actions_from == "status" and self._status.silent:
            return f"{STATUS_TOPIC} names no command; --actions commands takes the controllers'"
        if not self._observations.report.sets:
            return "no aligned observation; refused: " + (", ".join(refused) or "nothing")
        return "no observation after everything was commanded, and seen by every depth camera"

    def _handlers(self) -> dict[str, Handler]:
        """The handler for the messages of each topic."""
        handlers: dict[str, Handler] = {
            camera.topic: partial(self._frame, camera.name) for camera in self._robot.cameras
        }
        handlers |= {t: partial(self._joint_states, t) for t in self._observations.joint_topics}
        if self._actions_from == "commands":
            handlers |= {track.controller.topic: track.add for track in self._tracks}
        if self._instructions.recorded:
            handlers[INSTRUCTION_TOPIC] = self._instructions.add
        handlers |= {t: partial(self._take_depth, name, t) for name, t in self._options.depth}
        return handlers

    def _frame(self, camera: str, log_ns: int, message: Any) -> None:
        self._observed(self._observations.frame(camera, message, log_ns))

    def _joint_states(self, topic: str, log_ns: int, message: Any) -> None:
        self._observed(self._observations.joint_states(topic, message, log_ns))

    def _take_depth(self, name: str, topic: str, _log_ns: int, message: Any) -> None:
        self._depth[name] = read_depth(topic, message)
        self._depth_stamps[name] = nanoseconds(message.header.stamp)

    def _observed(self, observed: AlignedObservation | None) -> None:
        """Add an observation to the grid; the first one requires a command for every controller."""
        if observed is None:
            return
        aligned = observed.aligned
        if not self._grid.started and not self._ready(aligned.stamp_ns):
            return
        before_ns, self._newest_ns = self._newest_ns or aligned.stamp_ns, aligned.stamp_ns
        if (hole_ns := aligned.stamp_ns - before_ns) > _CLOCK_SET_NS:
            raise DatasetError(
                f"no aligned observation for {hole_ns / NS_PER_S:.0f} s: the clock was set while it"
                " was recorded; record it again"
            )
        images: dict[str, NDArray[Any]] = {}
        stamps: dict[str, int] = {}
        for name, image in observed.images.items():
            key = camera_key(name)
            stamps[key] = aligned.frames[name].stamp_ns
            images[key] = image.copy() if self._options.size else image
        self._check_depth(aligned.stamp_ns)
        for name, depth in self._depth.items():
            stamps[depth_key(name)] = self._depth_stamps[name]
            images[depth_key(name)] = depth
        self._grid.add(
            StampedObservation(
                stamp_ns=aligned.stamp_ns,
                state=observed.state,
                images=images,
                stamps=stamps,
            )
        )

    def _check_depth(self, stamp_ns: int) -> None:
        """Refuse depth that is older than an observation may be; frames would repeat it."""
        allowed_s = self._robot.sync.observation_timeout_s
        for name, depth_ns in self._depth_stamps.items():
            age_s = (stamp_ns - depth_ns) / NS_PER_S
            if age_s > allowed_s and not self._options.doubtful:
                raise DatasetError(
                    f"depth {name} is {age_s:.2f} s older than an observation; at most"
                    f" {allowed_s:g} s allowed (--accept-doubtful takes it)"
                )

    def _ready(self, stamp_ns: int) -> bool:
        if len(self._depth) < len(self._options.depth):
            return False
        if self._actions_from == "commands":
            return all(track.known_at(stamp_ns) for track in self._tracks)
        return self._actions_from != "status" or self._status.known_at(stamp_ns)

    def _show(self, time_ns: int, held: StampedObservation) -> None:
        """Write one frame."""
        frame = len(self._times)
        for key, image in held.images.items():
            if self._shown.get(key) == held.stamps[key]:
                self.writers[key].repeat()
            else:
                self._shown[key] = held.stamps[key]
                self._check_size(key, image)
                self.writers[key].add(image)
            if frame % self._count_every == 0 and key in self.counters:
                self.counters[key].add(image)
        self._times.append(time_ns)
        self._states.append(held.state)
        self._ages_ns.append(time_ns - held.stamp_ns)

    def _check_size(self, key: str, image: NDArray[Any]) -> None:
        size = image.shape[0], image.shape[1]
        if self._sizes.setdefault(key, size) != size:
            raise DatasetError(
                f"{key}: a frame of {size[1]}x{size[0]} after"
                f" {self._sizes[key][1]}x{self._sizes[key][0]}; give --size"
            )
