"""The actions of one recorded episode, from a bag or a dataset, for replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.dataset.convert.actions import CommandTrack, StatusTrack, read_status
from pi0_ros.dataset.convert.bags import Bag, find_bags
from pi0_ros.dataset.errors import DatasetError
from pi0_ros.dataset.format.reader import Dataset
from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.errors import RecordingError
from pi0_ros.stamps import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedActions:
    """N actions (N, A) in the order of ``names``, at ``rate_hz``.

    ``embodiment`` names the robot that recorded them; ``title`` names the bag or episode.
    """

    embodiment: str
    names: tuple[str, ...]
    actions: FloatArray
    rate_hz: float
    task: str
    title: str


def read_actions(source: str) -> RecordedActions:
    """Read ``BAG``, ``DATASET`` or ``DATASET:EPISODE``; episodes count from 0.

    Raises :class:`RecordingError` or :class:`~pi0_ros.embodiment.EmbodimentError`.
    """
    text, _, number = source.rpartition(":")
    path, episode = Path(source).expanduser(), 0
    if text and number.isdigit() and not path.exists():
        path, episode = Path(text).expanduser(), int(number)
    if (path / "meta" / "info.json").is_file():
        return _of_dataset(path, episode)
    if not path.exists():
        raise RecordingError(f"{path}: does not exist; give a bag, or a dataset and :EPISODE")
    bags = (path,) if path.is_file() else find_bags([path])
    if not 0 <= episode < len(bags):
        raise RecordingError(f"{path}: no episode {episode}; it has {len(bags)} bags, from 0")
    if len(bags) > 1 and path == Path(source).expanduser():
        raise RecordingError(
            f"{path}: holds {len(bags)} bags; name one of them, or {path}:0 for the first"
        )
    return _of_bag(Bag.open(bags[episode]))


def _of_bag(bag: Bag) -> RecordedActions:
    robot = bag.embodiment
    status = read_status(bag)
    times_ns, actions = _reported(bag, status) if status.stamps else _commanded(bag)
    if len(times_ns) < 2:
        raise DatasetError(f"{bag.path}: {len(times_ns)} steps were commanded; nothing to play")
    return RecordedActions(
        embodiment=robot.name,
        names=robot.action_names,
        actions=actions,
        rate_hz=robot.rates.chunk_hz,
        task=bag.info.task,
        title=str(bag.path),
    )


def _reported(bag: Bag, status: StatusTrack) -> tuple[NDArray[np.int64], FloatArray]:
    """The commands that the executor reported; a busy recorder does not delay their stamps."""
    known = [stamp_ns for stamp_ns in status.stamps if status.known_at(stamp_ns)]
    if not known:
        raise DatasetError(f"{bag.path}: the executor commanded nothing while it was recorded")
    times_ns = _steps(bag.embodiment, known[0], known[-1])
    return times_ns, status.at(times_ns)


def _commanded(bag: Bag) -> tuple[NDArray[np.int64], FloatArray]:
    """The commands in force at each step, from the time when every controller had a command."""
    robot = bag.embodiment
    tracks = {c.topic: CommandTrack(robot, c) for c in robot.controllers}
    first_ns, last_ns = 0, 0
    for source, log_ns, message in bag.messages(tracks):
        tracks[source].add(log_ns, message)
        last_ns = log_ns
        if not first_ns and all(track.known_at(log_ns) for track in tracks.values()):
            first_ns = log_ns
    silent = [topic for topic, track in tracks.items() if track.silent]
    if silent or not first_ns:
        raise DatasetError(f"{bag.path}: nothing was commanded on {', '.join(silent or tracks)}")
    times_ns = _steps(robot, first_ns, last_ns)
    actions = np.zeros((len(times_ns), len(robot.action)))
    for track in tracks.values():
        actions[:, track.packer.indices] = track.at(times_ns)
    return times_ns, actions


def _steps(robot: Embodiment, first_ns: int, last_ns: int) -> NDArray[np.int64]:
    # Integers, because floats near the present time are 256 ns apart: a rounded first step could
    # lie before the first command.
    return np.arange(first_ns, last_ns + 1, round(robot.rates.step_duration_s * NS_PER_S))


def _of_dataset(path: Path, episode: int) -> RecordedActions:
    dataset = Dataset.open(path)
    robot: Embodiment = dataset.robot()
    found = dataset.episode(episode)
    return RecordedActions(
        embodiment=robot.name,
        names=robot.action_names,
        actions=found.action.astype(np.float64),
        rate_hz=float(dataset.fps),
        task=found.task(0),
        title=f"{path}, episode {episode} of {len(dataset.records)}",
    )
