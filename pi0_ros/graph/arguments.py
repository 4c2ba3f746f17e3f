"""The arguments of both front ends, in one table.

``pi0 up`` makes options of them (``--num-steps``), ``pi0.launch.py`` launch
arguments (``num_steps:=``); :func:`pi0_ros.graph.options.parse_options` reads both.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Sources of sensor data and sinks of commands.
HARDWARE = ("mujoco", "mock", "real")


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument. ``default`` None means it must be given; ``choices`` () any text.

    ``of_hardware``: understood by the hardware part alone too.
    """

    name: str
    description: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    of_hardware: bool = False


ARGUMENTS = (
    Argument(
        name="embodiment",
        description="Robot type: a name (`pi0 embodiments list`) or the path of a YAML file",
        of_hardware=True,
    ),
    Argument(
        name="checkpoint",
        description="Folder of the checkpoint the policy runs; needed without remote",
        default="",
    ),
    Argument(
        name="remote",
        description="ws://HOST:PORT of an openpi server (`pi0 serve`) that runs the policy instead",
        default="",
    ),
    Argument(
        name="hardware",
        description="What stands at the other end: a MuJoCo simulation, a mock robot "
        "(joints with a lag, test-pattern cameras), or real drivers started elsewhere",
        default="mock",
        choices=HARDWARE,
        of_hardware=True,
    ),
    Argument(
        name="scene",
        description="Scene of the MuJoCo simulation; needed where the embodiment has several",
        default="",
        of_hardware=True,
    ),
    Argument(
        name="prompt",
        description="Instruction the policy starts with; without one it waits for the topic prompt",
        default="",
    ),
    Argument(
        name="namespace",
        description="ROS namespace of every node and topic",
        default="",
        of_hardware=True,
    ),
    Argument(
        name="use_sim_time",
        description="Whether the nodes follow /clock; auto: with mujoco only",
        default="auto",
        choices=("auto", "true", "false"),
        of_hardware=True,
    ),
    Argument(
        name="parameters",
        description="ROS parameter file for any of the nodes; what it says wins",
        default="",
        of_hardware=True,
    ),
    Argument(
        name="image_size",
        description="Side of the square views the model sees, in pixels",
        default="224",
    ),
    Argument(
        name="device",
        description="Torch device of the policy, such as cpu or cuda",
        default="cpu",
    ),
    Argument(
        name="threads",
        description="Processor threads of the policy; 0 leaves the number to torch",
        default="0",
    ),
    Argument(
        name="num_steps",
        description="Denoising steps for each chunk",
        default="10",
    ),
    Argument(
        name="seed",
        description="Seed of the policy's sampling noise; -1 draws one",
        default="-1",
    ),
    Argument(
        name="strategy",
        description="How chunks follow each other; auto: rtc where the policy can, else sequential",
        default="auto",
        choices=("auto", "sequential", "temporal_ensemble", "rtc"),
    ),
)

#: The part of the table that the hardware alone understands.
HARDWARE_ARGUMENTS = tuple(argument for argument in ARGUMENTS if argument.of_hardware)

_BY_NAME = {argument.name: argument for argument in ARGUMENTS}

#: Arguments of the recorder, which starts beside a robot that runs.
RECORDER_ARGUMENTS = (
    _BY_NAME["embodiment"],
    _BY_NAME["namespace"],
    Argument(
        name="use_sim_time",
        description="Whether the recorder follows /clock; say true beside a simulation",
        default="false",
        choices=("true", "false"),
    ),
    Argument(
        name="directory",
        description="Folder of the episodes, one rosbag2 bag each",
        default="~/pi0_episodes",
    ),
    Argument(
        name="require_commands",
        description="Whether the controllers must be commanded before an episode starts; false "
        "where actions are to be made from measured states",
        default="true",
        choices=("true", "false"),
    ),
    Argument(
        name="extra_topics",
        description="More topics to record and to wait for: NAME TYPE, NAME TYPE, ...",
        default="",
    ),
    Argument(
        name="queue_mb",
        description="Memory for what waits for the disk, in MB; what does not fit is lost",
        default="256",
    ),
    Argument(
        name="reserve_mb",
        description="Room on the disk that stays free, in MB; an episode ends before it is used",
        default="512",
    ),
)
