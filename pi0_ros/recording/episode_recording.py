"""The recording of one episode: its bag, write queue, evidence and metadata."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pi0_ros.embodiment import Embodiment
from pi0_ros.recording.bag import BagWriter
from pi0_ros.recording.bag_check import REPORT_NAME
from pi0_ros.recording.checks import assess
from pi0_ros.recording.episode import (
    EpisodeInfo,
    Instruction,
    Outcome,
    Termination,
    TopicCount,
)
from pi0_ros.recording.evidence import EvidenceCollector
from pi0_ros.recording.mcap_file import McapFile, Message
from pi0_ros.recording.metadata import BagTopic
from pi0_ros.recording.quality import QualityLimits, QualityReport
from pi0_ros.recording.topics import EpisodeTopic
from pi0_ros.recording.write_queue import WriteQueue

# A warning during the episode covers this time before now [ns].
_LIVE_NS = 10_000_000_000
# A longer queue means that the writer is slower than the streams.
_BEHIND_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPlan:
    """The settings that all episodes of a recorder share.

    Episodes are written to ``directory``. ``embodiment_yaml`` is the text of the embodiment, by
    default the present content of its file. ``queue_bytes`` limits the memory of the write queue.
    """

    embodiment: Embodiment
    topics: tuple[EpisodeTopic, ...]
    directory: Path
    embodiment_yaml: str = ""
    queue_bytes: int = 256 << 20
    software: Mapping[str, str] = field(default_factory=dict)
    limits: QualityLimits = field(default_factory=QualityLimits)
    open_file: Callable[[Path], McapFile] = McapFile.create


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedEpisode:
    """How an episode ended. ``path`` is its bag, or the unfinished folder if the bag could not be
    finished."""

    path: Path
    info: EpisodeInfo
    report: QualityReport
    finished: bool


class EpisodeRecording:
    """One episode being recorded. ``bag_topics`` have the order of the plan's topics."""

    def __init__(
        self,
        plan: RecordingPlan,
        name: str,
        bag_topics: Sequence[BagTopic],
        task: str,
        notes: str,
        start_ns: int,
    ) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._bag_topics = tuple(bag_topics)
        self._info = EpisodeInfo(
            embodiment=plan.embodiment.name,
            embodiment_yaml=plan.embodiment_yaml
            or plan.embodiment.path.read_text(encoding="utf-8"),
            task=task,
            notes=notes,
            instructions=(Instruction(stamp_ns=start_ns, text=task),),
            software=plan.software,
            start_ns=start_ns,
            topics=tuple(self._counts(None)),
        )
        self._collector = EvidenceCollector(plan.embodiment, plan.topics)
        self._bag = BagWriter(plan.directory, name, bag_topics, self._info, plan.open_file)
        self.queue = WriteQueue(self._bag, plan.queue_bytes, self._collector.observe)

    @property
    def info(self) -> EpisodeInfo:
        """The description so far; counts are added at the end."""
        return self._info

    @property
    def path(self) -> Path:
        """Where the finished bag will be."""
        return self._bag.path

    @property
    def folder(self) -> Path:
        """Where the unfinished bag is."""
        return self._bag.folder

    @property
    def bytes_written(self) -> int:
        """Size of the .mcap so far."""
        return self._bag.bytes_written

    @property
    def instruction(self) -> Instruction:
        """The last instruction given to the recorder itself; at first the task."""
        return self._info.instructions[-1]

    def written(self, topic: int) -> int:
        """Messages of a topic that are in the bag."""
        return self._bag.index.counts.get(topic + 1, 0)

    def offer(self, topic: int, log_ns: int, publish_ns: int, sequence: int, data: bytes) -> None:
        """Record one serialised message. For the receiving thread only.

        ``publish_ns`` 0 or less means that the publisher gave no time, as some embedded ones do.
        """
        publish_ns = publish_ns if publish_ns > 0 else log_ns
        self.queue.offer(topic, Message(topic + 1, log_ns, publish_ns, sequence, data))

    def set_instruction(self, text: str, stamp_ns: int) -> None:
        """Change the instruction from ``stamp_ns`` on."""
        with self._lock:
            step = Instruction(stamp_ns=stamp_ns, text=text)
            self._info = replace(self._info, instructions=(*self._info.instructions, step))
            self.queue.annotate(self._info)

    def warnings(self, now_ns: int) -> tuple[str, ...]:
        """The findings of the quality gate about the last seconds, one sentence each."""
        waiting = self.queue.waiting_bytes
        behind = waiting > _BEHIND_BYTES
        if behind:  # the gate sees only written messages; a late write is not a silent stream
            now_ns = self._collector.newest_ns or now_ns
        start_ns = max(self._info.start_ns, now_ns - _LIVE_NS)
        evidence = self._collector.evidence(
            start_ns, now_ns, live=True, lost=self.queue.lost, missed=self.queue.missed
        )
        lag = f"writing is behind: {waiting / 1e6:.0f} MB wait in memory"
        problems = assess(evidence, self._plan.embodiment, self._plan.limits).problems
        return (lag, *problems) if behind else problems

    def stop(self, outcome: Outcome, notes: str, end_ns: int, fault: str = "") -> FinishedEpisode:
        """Write the queue, check the episode and finish the bag. Offer nothing meanwhile.

        ``fault``: why the recorder could not continue; the episode then counts as failed.
        """
        self.queue.close()
        fault = fault or _disk_fault(self.queue.error)
        evidence = self._collector.evidence(
            self._info.start_ns, end_ns, lost=self.queue.lost, missed=self.queue.missed
        )
        report = assess(evidence, self._plan.embodiment, self._plan.limits)
        complete = not fault and not any(self.queue.lost)
        info = replace(
            self._info,
            outcome=Outcome.FAILED if fault else outcome,
            notes="\n".join(note for note in (self._info.notes, notes) if note),
            end_ns=end_ns,
            topics=tuple(self._counts(self.queue)),
            complete=complete,
            accepted=complete and report.accepted,
            problems=(*((fault,) if fault else ()), *report.problems),
            termination=Termination.STOPPED if complete else Termination.INCOMPLETE,
            reason=fault or ("" if complete else "disk or processor were slower than the streams"),
        )
        try:
            path = self._bag.finish(info, {REPORT_NAME: report.to_json()})
        except OSError as error:
            self._bag.abandon()
            info = replace(
                info,
                complete=False,
                accepted=False,
                termination=Termination.INCOMPLETE,
                outcome=Outcome.FAILED,
                reason=_disk_fault(error),
                problems=(_disk_fault(error), *info.problems),
            )
            return FinishedEpisode(path=self._bag.folder, info=info, report=report, finished=False)
        return FinishedEpisode(path=path, info=info, report=report, finished=True)

    def discard(self) -> None:
        """Remove everything that was recorded."""
        self.queue.drop()
        self._bag.discard()

    def _counts(self, queue: WriteQueue | None) -> list[TopicCount]:
        return [
            TopicCount(
                name=in_bag.name,
                source=topic.name,
                type=topic.type,
                role=topic.role,
                expected_hz=topic.expected_hz,
                received=queue.received[i] if queue else 0,
                written=self.written(i) if queue else 0,
                lost=queue.lost[i] if queue else 0,
                missed=queue.missed[i] if queue else 0,
            )
            for i, (topic, in_bag) in enumerate(
                zip(self._plan.topics, self._bag_topics, strict=True)
            )
        ]


def _disk_fault(error: OSError | None) -> str:
    return "" if error is None else f"the disk refused to write: {error.strerror or error}"
