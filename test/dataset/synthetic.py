"""Small synthetic episodes with known frames and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.dataset import Dataset
from pi0_ros.dataset.convert.convert_bags import convert_bags
from pi0_ros.dataset.convert.options import ConvertOptions
from pi0_ros.dataset.export.bag_writer import EpisodeBagWriter
from pi0_ros.dataset.export.messages import CommandMessages, image_message, joint_messages
from pi0_ros.embodiment import Embodiment
from pi0_ros.embodiment import load as load_embodiment
from pi0_ros.recording.episode import EpisodeInfo, Instruction, Outcome

START_NS = 1_700_000_000_000_000_000
NS = 1_000_000_000

load = cache(load_embodiment)


@dataclass(frozen=True, kw_only=True)
class SyntheticEpisode:
    """The content of a synthetic bag. Each camera has its own phase."""

    embodiment: str = "ur5e"
    duration_s: float = 1.0
    size: tuple[int, int] = (48, 64)
    seed: int = 0
    task: str = "stack the cups"
    then: str = ""  # instruction set half-way
    outcome: Outcome = Outcome.SUCCEEDED
    accepted: bool = True
    problems: tuple[str, ...] = ()

    @property
    def robot(self) -> Embodiment:
        return load(self.embodiment)

    @property
    def end_ns(self) -> int:
        return START_NS + round(self.duration_s * NS)

    def info(self) -> EpisodeInfo:
        instructions = [Instruction(stamp_ns=START_NS, text=self.task)]
        if self.then:
            middle = START_NS + round(self.duration_s / 2 * NS)
            instructions.append(Instruction(stamp_ns=middle, text=self.then))
        return EpisodeInfo(
            embodiment=self.embodiment,
            embodiment_yaml=self.robot.path.read_text(encoding="utf-8"),
            task=self.task,
            notes="synthetic",
            outcome=self.outcome,
            instructions=tuple(instructions),
            software={"pi0_ros": "test"},
            start_ns=START_NS,
            end_ns=self.end_ns,
            accepted=self.accepted,
            problems=self.problems,
        )


def picture(take: SyntheticEpisode, camera: int, time_s: float) -> NDArray[np.uint8]:
    """A camera's view: a smooth background and a bright square that moves."""
    height, width = take.size
    rows, columns = np.mgrid[:height, :width]
    image = np.stack(
        [rows * 200 // height, columns * 200 // width, np.full_like(rows, 40 * camera)], axis=2
    )
    side = height // 6
    x = int((0.1 + 0.6 * (time_s * 0.5 % 1.0)) * (width - side))
    image[height // 3 : height // 3 + side, x : x + side] = (230, 220, 40 + camera)
    return image.astype(np.uint8)


def wave(count: int, seed: int, time_s: float) -> NDArray[np.float64]:
    """Smooth numbers in -0.4 .. 0.4, different for every dimension."""
    phases = np.random.default_rng(seed).uniform(0, 6.28, count)
    return 0.4 * np.sin(2.0 * time_s + phases)


def action_at(take: SyntheticEpisode, time_s: float) -> NDArray[np.float64]:
    """Commands within the limits."""
    limits = take.robot.limits
    middle, half = (limits.lower + limits.upper) / 2, (limits.upper - limits.lower) / 2
    return middle + half * wave(len(middle), take.seed + 7, time_s)


def state_at(take: SyntheticEpisode, time_s: float) -> NDArray[np.float64]:
    return 0.5 + wave(len(take.robot.state), take.seed, time_s)


def events(take: SyntheticEpisode) -> Iterator[tuple[int, str, Any]]:
    """(arrival time, topic, message) of drivers and controllers, in order of arrival."""
    robot = take.robot
    due: list[tuple[int, int, str, int]] = []
    for index, camera in enumerate(robot.cameras):
        period = NS / camera.rate_hz
        for i in range(int(take.duration_s * camera.rate_hz)):
            stamp = START_NS + round((i + 0.1 * index) * period)
            due.append((stamp + 4_000_000, 2, camera.topic, stamp))
    for i in range(int(take.duration_s * robot.rates.joint_state_hz)):
        stamp = START_NS + round(i * NS / robot.rates.joint_state_hz)
        due.append((stamp + 500_000, 0, "joints", stamp))
    for i in range(int(take.duration_s * robot.rates.control_hz)):
        stamp = START_NS + 3_000_000 + round(i * NS / robot.rates.control_hz)
        due.append((stamp, 1, "commands", stamp))
    cameras = {camera.topic: (i, camera) for i, camera in enumerate(robot.cameras)}
    commands = CommandMessages(robot)
    for log_ns, _, what, stamp in sorted(due):
        time_s = (stamp - START_NS) / NS
        if what == "joints":
            for topic, message in joint_messages(robot, stamp, state_at(take, time_s)).items():
                yield log_ns, topic, message
        elif what == "commands":
            for topic, message in commands.make(stamp, action_at(take, time_s)).items():
                yield log_ns, topic, message
        else:
            index, camera = cameras[what]
            yield log_ns, what, image_message(camera, stamp, picture(take, index, time_s))


def write_bag(directory: Path, name: str, take: SyntheticEpisode | None = None) -> Path:
    """Write an episode as a bag and return its folder."""
    take = take or SyntheticEpisode()
    bag = EpisodeBagWriter(directory, name, take.robot, take.info())
    for log_ns, topic, message in events(take):
        bag.add(topic, log_ns, message)
    return bag.finish(take.end_ns)


#: The cheapest options, and a bag of few frames.
SMALL = ConvertOptions(size=32, codec="images")
SHORT = SyntheticEpisode(duration_s=0.4)


def convert(bags: list[Path], out: Path, **options: object) -> Dataset:
    """Convert in this process with :data:`SMALL` and ``options``, and open it."""
    convert_bags(bags, out, replace(SMALL, **options), jobs=1)
    return Dataset.open(out)
