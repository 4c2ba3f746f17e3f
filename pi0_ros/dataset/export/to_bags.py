"""Export of a dataset's episodes to rosbag2 bags with the topics of its robot.

Each frame becomes one message for each camera, joint-state topic and controller, stamped with the
frame's time. Commands and joint states arrive 1 ms before the images, so that a conversion of the
bag gives the same frames. Images are exported without letterbox padding, as drivers send them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.export.bag_writer import EpisodeBagWriter
from pi0_ros.dataset.export.messages import (
    CommandMessages,
    depth_message,
    image_message,
    joint_messages,
)
from pi0_ros.dataset.format.episode import Episode
from pi0_ros.dataset.format.features import ACTION, DEPTH_PREFIX, STATE, camera_key
from pi0_ros.dataset.format.info import frame_offset_ns
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.embodiment import Camera, Embodiment
from pi0_ros.recording.episode import EpisodeInfo, Instruction, Outcome
from pi0_ros.sync import fit_inside

#: Time of frame 0 if the dataset does not state the episode's start.
_SOME_TIME_NS = 1_000_000_000_000_000_000
#: Time between joint states and commands and the images of their frame [ns].
_BEFORE_NS = 1_000_000
_IMAGE = "sensor_msgs/msg/Image"


def to_bags(
    source: Path,
    out: Path,
    episodes: Sequence[int] | None = None,
    embodiment: Embodiment | None = None,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Path, ...]:
    """Write one bag for each episode into ``out`` and return their folders.

    ``embodiment`` replaces the dataset's. Raises :class:`DatasetError` if the dataset does not
    match it or is empty.
    """
    dataset = Dataset.open(source)
    dataset.check_not_empty()
    robot = embodiment or dataset.robot()
    _check_fits(dataset, robot)
    chosen = range(len(dataset.records)) if episodes is None else episodes
    for index in chosen:
        dataset.record(index)
    paths = []
    for done, index in enumerate(chosen):
        paths.append(_write_bag(dataset, index, robot, out))
        on_done(done + 1, len(chosen))
    dataset.close()
    return tuple(paths)


def _check_fits(dataset: Dataset, robot: Embodiment) -> None:
    for name, labels in ((STATE, robot.state_names), (ACTION, robot.action_names)):
        feature = dataset.info.features.get(name)
        if feature is None or feature.shape != (len(labels),):
            shape = "missing" if feature is None else f"of shape {feature.shape}"
            raise DatasetError(
                f"{dataset.root}: {name} is {shape}, embodiment {robot.name} has {len(labels)}:"
                f" {', '.join(labels)}"
            )
    missing = [c.name for c in robot.cameras if camera_key(c.name) not in dataset.cameras]
    if missing:
        raise DatasetError(
            f"{dataset.root}: no images of {', '.join(missing)}; it has"
            f" {', '.join(dataset.cameras) or 'none'}"
        )
    if dataset.fps != robot.rates.chunk_hz:
        raise DatasetError(
            f"{dataset.root}: {dataset.fps} fps, embodiment {robot.name} runs at"
            f" {robot.rates.chunk_hz:g}"
        )


@dataclass(frozen=True, slots=True)
class _CameraExport:
    """A camera, and the area of the dataset's image without padding."""

    camera: Camera
    key: str
    rows: slice
    columns: slice

    def message(self, stamp_ns: int, image: NDArray[np.uint8]) -> Any:
        return image_message(self.camera, stamp_ns, image[self.rows, self.columns])


def _write_bag(dataset: Dataset, index: int, robot: Embodiment, out: Path) -> Path:
    episode = dataset.episode(index)
    start_ns = episode.source.start_ns or _SOME_TIME_NS
    end_ns = start_ns + frame_offset_ns(len(episode) - 1, dataset.fps)
    info = _info(dataset, episode, robot, start_ns)
    depth = {key: _depth_topic(key) for key in dataset.cameras if key.startswith(DEPTH_PREFIX)}
    bag = EpisodeBagWriter(
        out, f"episode_{index:06d}", robot, info, extra=dict.fromkeys(depth.values(), _IMAGE)
    )
    views = [_view(dataset, camera) for camera in robot.cameras]
    commands = CommandMessages(robot)
    try:
        for frame in range(len(episode)):
            stamp_ns = start_ns + frame_offset_ns(frame, dataset.fps)
            before_ns = stamp_ns - _BEFORE_NS
            joints = joint_messages(robot, stamp_ns, episode.state[frame])
            commanded = commands.make(stamp_ns, episode.action[frame])
            for topic, message in (*joints.items(), *commanded.items()):
                bag.add(topic, before_ns, message)
            for key, topic in depth.items():
                pixels = dataset.image(key, index, frame)
                bag.add(topic, before_ns, depth_message(key, stamp_ns, pixels))
            for view in views:
                image = dataset.image(view.key, index, frame)
                bag.add(view.camera.topic, stamp_ns, view.message(stamp_ns, image))
        return bag.finish(end_ns)
    except BaseException:
        bag.discard()
        raise


def _info(dataset: Dataset, episode: Episode, robot: Embodiment, start_ns: int) -> EpisodeInfo:
    source = episode.source
    instructions = tuple(
        Instruction(stamp_ns=start_ns + frame_offset_ns(frame, dataset.fps), text=text)
        for frame, text in episode.marks
    )
    return EpisodeInfo(
        embodiment=robot.name,
        embodiment_yaml=_yaml(dataset, robot),
        task=source.task or episode.task(0),
        notes=source.notes,
        outcome=Outcome(source.outcome),
        instructions=instructions,
        software=dict(source.software),
        start_ns=start_ns - _BEFORE_NS,
        accepted=source.accepted,
        problems=source.problems,
        reason=f"episode {episode.record.index} of the dataset {dataset.root.resolve().name}",
    )


def _yaml(dataset: Dataset, robot: Embodiment) -> str:
    manifest = dataset.manifest
    if manifest is not None and manifest.embodiment == robot.name and manifest.embodiment_yaml:
        return manifest.embodiment_yaml
    return robot.path.read_text(encoding="utf-8")


def _view(dataset: Dataset, camera: Camera) -> _CameraExport:
    """Find the area of the camera's picture in a letterboxed image."""
    key = camera_key(camera.name)
    height, width = dataset.info.features[key].size
    everything = slice(None)
    if height != width or camera.width == camera.height:
        return _CameraExport(camera, key, everything, everything)
    inner_height, inner_width = fit_inside(camera.height, camera.width, height)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    return _CameraExport(
        camera, key, slice(top, top + inner_height), slice(left, left + inner_width)
    )


def _depth_topic(key: str) -> str:
    return f"depth/{key.removeprefix(DEPTH_PREFIX)}"
