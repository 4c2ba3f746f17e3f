"""The description of one episode, stored in its bag.

The same string map is stored in ``metadata.yaml`` (``custom_data`` of rosbag2) and in the
``.mcap`` itself (metadata records named :data:`RECORD_NAME`; the last one counts), so
that each file is sufficient alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.topics import Role
from pi0_ros.stamps import NS_PER_S

#: Name of the metadata records in the .mcap.
RECORD_NAME = "pi0_episode"

#: Version of the map below; a reader refuses a newer one.
VERSION = 1


class Outcome(str, Enum):
    """How the operator marked the episode."""

    UNMARKED = "unmarked"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Termination(str, Enum):
    """How the recording ended."""

    RECORDING = "recording"  # not yet: the recorder still writes, or was killed
    STOPPED = "stopped"  # by request, or after its time
    INCOMPLETE = "incomplete"  # the recorder could not write everything
    REPAIRED = "repaired"  # killed; recovered by `pi0 bag repair`


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """``text`` is what the robot is to do from ``stamp_ns`` (ROS clock) on."""

    stamp_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCount:
    """One topic of the bag.

    ``name`` is absolute, as in the bag; ``source`` is the name in the embodiment.
    ``received`` = ``written`` + ``lost``. ``missed`` counts messages that were published but never
    received, by gaps in the publisher's sequence numbers; the other counts exclude them.
    """

    name: str
    source: str
    type: str
    role: Role
    expected_hz: float = 0.0
    received: int = 0
    written: int = 0
    lost: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeInfo:
    """Everything about one episode except its messages.

    Stamps are nanoseconds on the ROS clock. ``instructions`` starts with the task;
    subtasks follow in order. ``complete`` means that every received message was written.
    ``problems`` are the findings of the quality gate, one sentence each.
    """

    embodiment: str
    embodiment_yaml: str
    task: str
    notes: str = ""
    outcome: Outcome = Outcome.UNMARKED
    instructions: tuple[Instruction, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    start_ns: int
    end_ns: int = 0
    topics: tuple[TopicCount, ...] = ()
    complete: bool = False
    accepted: bool = False
    problems: tuple[str, ...] = ()
    termination: Termination = Termination.RECORDING
    reason: str = ""

    @property
    def duration_s(self) -> float:
        """Length of the episode [s]; 0 while it is recorded."""
        return max(0, self.end_ns - self.start_ns) / NS_PER_S

    def instruction_at(self, stamp_ns: int) -> str:
        """The instruction in force at a time: the last one set before, else the task."""
        text = self.task
        for instruction in self.instructions:
            if instruction.stamp_ns > stamp_ns:
                break
            text = instruction.text
        return text

    def topic(self, source: str) -> TopicCount:
        """The topic with this name in the embodiment. Raises :class:`RecordingError`."""
        for topic in self.topics:
            if topic.source == source:
                return topic
        known = ", ".join(topic.source for topic in self.topics) or "none"
        raise RecordingError(f"the bag has no topic {source!r}; it has {known}")

    def to_map(self) -> dict[str, str]:
        """The map that is stored in the bag, with plain text where people may read it."""
        return {
            "pi0_episode_version": str(VERSION),
            "task": self.task,
            "outcome": self.outcome.value,
            "termination": self.termination.value,
            "reason": self.reason,
            "notes": self.notes,
            "complete": json.dumps(self.complete),
            "accepted": json.dumps(self.accepted),
            "problems": json.dumps(self.problems, ensure_ascii=False),
            "start_ns": str(self.start_ns),
            "end_ns": str(self.end_ns),
            "instructions": json.dumps(
                [[i.stamp_ns, i.text] for i in self.instructions], ensure_ascii=False
            ),
            "topics": json.dumps([asdict(topic) for topic in self.topics]),
            "software": json.dumps(dict(self.software)),
            "embodiment": self.embodiment,
            "embodiment_yaml": self.embodiment_yaml,
        }

    @classmethod
    def from_map(cls, values: Mapping[str, Any], where: str) -> EpisodeInfo:
        """Read the map back; ``where`` names the bag in errors.

        Raises :class:`RecordingError` if the bag is not one of this suite, or of a newer version.
        """
        version = values.get("pi0_episode_version")
        if version is None:
            raise RecordingError(
                f"{where}: not an episode of this suite: its metadata have no pi0_episode_version;"
                " record it with `pi0 record`"
            )
        try:
            if int(version) > VERSION:
                raise RecordingError(
                    f"{where}: written as version {version}, this release reads up to {VERSION};"
                    " update the package"
                )
            return cls(
                embodiment=values["embodiment"],
                embodiment_yaml=values["embodiment_yaml"],
                task=values["task"],
                notes=values["notes"],
                outcome=Outcome(values["outcome"]),
                instructions=tuple(
                    Instruction(stamp_ns=int(stamp_ns), text=str(text))
                    for stamp_ns, text in json.loads(values["instructions"])
                ),
                software=json.loads(values["software"]),
                start_ns=int(values["start_ns"]),
                end_ns=int(values["end_ns"]),
                topics=tuple(
                    TopicCount(**{**topic, "role": Role(topic["role"])})
                    for topic in json.loads(values["topics"])
                ),
                complete=bool(json.loads(values["complete"])),
                accepted=bool(json.loads(values["accepted"])),
                problems=tuple(json.loads(values["problems"])),
                termination=Termination(values["termination"]),
                reason=values["reason"],
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise RecordingError(f"{where}: damaged episode metadata: {error!r}") from error
        except ValueError as error:
            if isinstance(error, RecordingError):
                raise
            raise RecordingError(f"{where}: damaged episode metadata: {error}") from error
