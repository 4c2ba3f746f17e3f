"""The topics of an episode of an embodiment, and the rate expected of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pi0_ros.embodiment import Embodiment, StopBehaviour


class Role(str, Enum):
    """The role of a topic in an episode."""

    CAMERA = "camera"
    JOINT_STATE = "joint_state"
    COMMAND = "command"
    CHUNK = "chunk"
    EXECUTOR_STATUS = "executor_status"
    TELEOP = "teleop"
    PROMPT = "prompt"
    INSTRUCTION = "instruction"
    DIAGNOSTICS = "diagnostics"
    EXTRA = "extra"  # added by the operator, unknown to the embodiment


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeTopic:
    """One topic to record.

    ``name`` is the name in the embodiment, relative to the robot's namespace unless it starts
    with ``/``. A topic with ``expected_hz`` 0 may be silent.
    """

    name: str
    type: str
    role: Role
    expected_hz: float = 0.0

    @property
    def sensed(self) -> bool:
        """Whether it is a measurement: a camera or a joint state."""
        return self.role in (Role.CAMERA, Role.JOINT_STATE)


def episode_topics(
    embodiment: Embodiment, *, with_commands: bool = True
) -> tuple[EpisodeTopic, ...]:
    """Every topic of the embodiment in its order, then the topics of the suite.

    With ``with_commands`` false, commands are recorded but may be silent. The aligned
    ``observation`` is left out, because the same code can make it again from the recorded topics.
    """
    topics = [
        EpisodeTopic(
            name=camera.topic,
            type=camera.message_type,
            role=Role.CAMERA,
            expected_hz=camera.rate_hz,
        )
        for camera in embodiment.cameras
    ]
    topics += [
        EpisodeTopic(
            name=dimension.topic,
            type=dimension.message_type,
            role=Role.JOINT_STATE,
            expected_hz=embodiment.rates.joint_state_hz,
        )
        for dimension in embodiment.state
    ]
    topics += [
        EpisodeTopic(
            name=controller.topic,
            type=controller.message_type,
            role=Role.COMMAND,
            # At rest only arms are commanded, to hold their pose; the others may be silent.
            expected_hz=embodiment.rates.control_hz
            if with_commands and controller.stop is StopBehaviour.HOLD
            else 0.0,
        )
        for controller in embodiment.controllers
    ]
    named = {topic.name: topic for topic in reversed([*topics, *_SUITE])}
    return tuple(dict.fromkeys(named[topic.name] for topic in [*topics, *_SUITE]))


_SUITE = (
    EpisodeTopic(name="action_chunk", type="pi0_msgs/msg/ActionChunk", role=Role.CHUNK),
    EpisodeTopic(
        name="executor_status", type="pi0_msgs/msg/ExecutorStatus", role=Role.EXECUTOR_STATUS
    ),
    EpisodeTopic(name="teleop_command", type="pi0_msgs/msg/TeleopCommand", role=Role.TELEOP),
    EpisodeTopic(name="prompt", type="std_msgs/msg/String", role=Role.PROMPT),
    EpisodeTopic(name="instruction", type="pi0_msgs/msg/Instruction", role=Role.INSTRUCTION),
    EpisodeTopic(
        name="/diagnostics", type="diagnostic_msgs/msg/DiagnosticArray", role=Role.DIAGNOSTICS
    ),
)
