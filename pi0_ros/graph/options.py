"""The options of a graph. Each one is declared once, with its default and description."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from pi0_ros.extensions import STRATEGIES
from pi0_ros.policy.options import INFERENCE_DEFAULTS

#: What sends the sensor data and receives the commands.
HARDWARE = ("mujoco", "mock", "real")


class GraphError(ValueError):
    """A graph that cannot be started. The message names the value and the fix."""


def _option(
    default: Any,
    description: str,
    *,
    choices: tuple[str, ...] = (),
    part: Literal["hardware", "suite", "recorder"] = "suite",
) -> Any:
    """A field that is also an argument of both front ends (:mod:`pi0_ros.graph.arguments`).

    A field with ``default`` MISSING must be given; ``choices`` () allows any text. The simulated or
    mock robot alone takes the ``part`` "hardware", the whole suite "hardware" and "suite", and the
    recorder "recorder".
    """
    declared = {"description": description, "choices": choices, "part": part}
    return field(default=default, metadata=declared)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """The options of robot, suite and recorder.

    ``scene`` "" means the only scene of the embodiment. ``use_sim_time`` None is true with the
    simulation, which publishes /clock. ``caller`` is the environment of the caller.
    """

    embodiment: str = _option(
        MISSING,
        "Robot type: a name (`pi0 embodiments list`) or the path of a YAML file",
        part="hardware",
    )
    checkpoint: str = _option("", "Folder of the checkpoint the policy runs; needed without remote")
    remote: str = _option(
        "", "ws://HOST:PORT of an openpi server (`pi0 serve`) that runs the policy instead"
    )
    hardware: str = _option(
        "mock",
        "The robot's side: a MuJoCo simulation, a mock robot (joints with a lag, test-pattern "
        "cameras), or real drivers that are started separately",
        choices=HARDWARE,
        part="hardware",
    )
    scene: str = _option(
        "",
        "Scene of the MuJoCo simulation; needed where the embodiment has several",
        part="hardware",
    )
    prompt: str = _option(
        "", "Instruction the policy starts with; without one it waits for the topic prompt"
    )
    namespace: str = _option("", "ROS namespace of every node and topic", part="hardware")
    use_sim_time: bool | None = _option(
        None,
        "Whether the nodes follow /clock; auto: with mujoco only",
        choices=("auto", "true", "false"),
        part="hardware",
    )
    parameters: str = _option(
        "", "ROS parameter file for any of the nodes; its values win", part="hardware"
    )
    image_size: int = _option(224, "Side of the square views the model sees, in pixels")
    num_steps: int = _option(*INFERENCE_DEFAULTS["num_steps"])
    device: str = _option(*INFERENCE_DEFAULTS["device"])
    seed: int = _option(*INFERENCE_DEFAULTS["seed"])
    threads: int = _option(*INFERENCE_DEFAULTS["threads"])
    strategy: str = _option(
        "auto",
        "How chunks follow each other; auto: rtc where the policy can, else sequential",
        choices=("auto", *STRATEGIES.names()),
    )
    directory: str = _option(
        "~/pi0_episodes", "Folder of the episodes, one rosbag2 bag each", part="recorder"
    )
    require_commands: bool = _option(
        True,
        "Whether an episode starts only while the controllers are commanded; false where actions "
        "are to be made from measured states",
        choices=("true", "false"),
        part="recorder",
    )
    extra_topics: str = _option(
        "", "More topics to record and to wait for: NAME TYPE, NAME TYPE, ...", part="recorder"
    )
    queue_mb: int = _option(
        256,
        "Memory for messages that wait for the disk, in MB; messages that do not fit are lost",
        part="recorder",
    )
    reserve_mb: int = _option(
        512,
        "Disk space that stays free, in MB; an episode ends before it is used",
        part="recorder",
    )
    caller: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def on_sim_time(self) -> bool:
        """Whether the nodes follow /clock."""
        return self.hardware == "mujoco" if self.use_sim_time is None else self.use_sim_time
