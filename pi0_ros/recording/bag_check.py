"""Check a bag on disk by the checks that the recorder applies to a running episode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rosbags.rosbag2 import Reader

from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.checks import assess
from pi0_ros.recording.episode import EpisodeInfo
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.evidence import EvidenceCollector
from pi0_ros.recording.quality import QualityLimits, QualityReport
from pi0_ros.recording.read import embodiment_of, read_episode
from pi0_ros.recording.topics import EpisodeTopic

#: Name of the report in the folder of the bag.
REPORT_NAME = "quality.json"


def check_bag(
    path: Path, limits: QualityLimits | None = None, embodiment: Embodiment | None = None
) -> tuple[EpisodeInfo, QualityReport]:
    """Read a whole bag and check it, without writing anything.

    ``embodiment`` replaces the one in the bag. Raises :class:`RecordingError`.
    """
    info = read_episode(path)
    robot = embodiment or embodiment_of(info, str(path))
    topics = expected_topics(info)
    collector = EvidenceCollector(robot, topics)
    places = {topic.name: i for i, topic in enumerate(info.topics)}
    try:
        with Reader(path) as reader:
            for connection, log_ns, data in reader.messages():
                if connection.topic in places:
                    collector.observe(places[connection.topic], log_ns, data)
    except Exception as error:  # on damaged bytes the reader raises many kinds of errors
        raise RecordingError(f"{path}: cannot be read: {error!r}; try `pi0 bag repair`") from error
    evidence = collector.evidence(
        info.start_ns,
        info.end_ns,
        lost=[topic.lost for topic in info.topics],
        missed=[topic.missed for topic in info.topics],
    )
    return info, assess(evidence, robot, limits)


def expected_topics(info: EpisodeInfo) -> Sequence[EpisodeTopic]:
    """The topics of an episode, with the rates that were expected when it was recorded."""
    return [
        EpisodeTopic(
            name=topic.source, type=topic.type, role=topic.role, expected_hz=topic.expected_hz
        )
        for topic in info.topics
    ]
