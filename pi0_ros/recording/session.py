"""The episodes of one recorder, one after the other, and the requests that each state accepts."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

from pi0_ros.recording.definitions import definition
from pi0_ros.recording.episode import Outcome
from pi0_ros.recording.episode_recording import EpisodeRecording, FinishedEpisode, RecordingPlan
from pi0_ros.recording.errors import RecordingError
from pi0_ros.recording.metadata import BagTopic
from pi0_ros.recording.streams import StreamState, not_ready
from pi0_ros.stamps import NS_PER_S


class RecordingState(Enum):
    """The states of pi0_msgs/RecorderStatus."""

    IDLE = 0
    RECORDING = 1
    FINISHING = 2
    FAILED = 3


class MessageSource(Protocol):
    """The source of the messages to record."""

    @property
    def states(self) -> Sequence[StreamState]:
        """The state of each topic, in the order of the plan."""

    @property
    def fault(self) -> str:
        """Why no more messages can be received; empty without a fault."""

    def deliver_to(self, recording: EpisodeRecording | None) -> None:
        """Offer messages to this episode from now on; on return, no other episode gets any."""


class Session:
    """Starts and ends episodes. Any thread may call every method. A method raises
    :class:`RecordingError` if the present state does not allow it.

    ``now_ns`` reads the ROS clock. ``reserve_bytes`` stay free on the disk: a running episode ends
    before they are used, and no episode starts with less than twice as much.
    """

    def __init__(
        self,
        plan: RecordingPlan,
        source: MessageSource,
        now_ns: Callable[[], int],
        *,
        reserve_bytes: int = 512 << 20,
    ) -> None:
        self.plan = plan
        self.state = RecordingState.IDLE
        self.reason = ""
        self.kept = 0
        self.recording: EpisodeRecording | None = None
        self.last: tuple[EpisodeRecording, FinishedEpisode | None] | None = None
        self._source = source
        self._now_ns = now_ns
        self._reserve = reserve_bytes
        self._started = 0
        self._lock = threading.RLock()

    @property
    def bytes_free(self) -> int:
        """Free space in the directory of the episodes; 0 if the directory is gone."""
        try:
            return shutil.disk_usage(self.plan.directory).free
        except OSError:
            return 0

    @property
    def elapsed_s(self) -> float:
        """Length of the episode so far; 0 without one."""
        recording = self.recording
        return (
            0.0
            if recording is None
            else max(0, self._now_ns() - recording.info.start_ns) / NS_PER_S
        )

    def obstacles(self) -> tuple[str, ...]:
        """The reasons why no episode can start now, one sentence each."""
        if self._source.fault:
            return (self._source.fault,)
        found = not_ready(self._source.states)
        free = self.bytes_free
        if free < 2 * self._reserve:
            text = (
                f"{free / 1e9:.1f} GB free at {self.plan.directory}, {2 * self._reserve / 1e9:.1f}"
            )
            found = (*found, f"{text} GB wanted")
        return found

    def start(self, task: str, notes: str = "") -> EpisodeRecording:
        """Begin an episode."""
        with self._lock:
            if self.recording is not None:
                raise RecordingError("an episode is being recorded; stop or discard it first")
            if not task.strip():
                raise RecordingError("the task is empty; say what the robot is to do")
            obstacles = self.obstacles()
            if obstacles:
                raise RecordingError("not ready: " + "; ".join(obstacles))
            try:
                recording = EpisodeRecording(
                    self.plan, self._name(), self._topics(), task, notes, self._now_ns()
                )
            except OSError as error:
                raise RecordingError(f"no bag in {self.plan.directory}: {error}") from error
            self._started += 1
            self.recording = recording
            self.state, self.reason = RecordingState.RECORDING, ""
            self._source.deliver_to(recording)
            return recording

    def stop(
        self, outcome: Outcome = Outcome.UNMARKED, notes: str = "", fault: str = ""
    ) -> FinishedEpisode:
        """End the episode and keep it; ``fault`` says why the recorder could not continue."""
        with self._lock:
            recording = self._running()
            self.state = RecordingState.FINISHING
            end_ns = self._now_ns()
            self._source.deliver_to(None)
            try:
                ended = recording.stop(outcome, notes, end_ns, fault or self._source.fault)
            except Exception as error:  # no error may prevent the next episode
                self.state = RecordingState.FAILED
                self.reason = f"{recording.folder}: {error!r}; `pi0 bag repair` it"
                raise RecordingError(self.reason) from error
            finally:
                self.recording = None
            self.last = recording, ended
            if ended.finished and ended.info.complete:
                self.kept += 1
                self.state, self.reason = RecordingState.IDLE, ""
            else:
                self.state = RecordingState.FAILED
                self.reason = f"{ended.path.name}: {ended.info.reason}"
            return ended

    def discard(self) -> str:
        """End the episode and remove it; return its task."""
        with self._lock:
            recording = self._running()
            self._source.deliver_to(None)
            self.recording = None
            self.last = recording, None
            try:
                recording.discard()
            except OSError as error:  # no error may prevent the next episode
                self.state = RecordingState.FAILED
                self.reason = f"{recording.folder} cannot be removed: {error.strerror or error}"
                raise RecordingError(self.reason) from error
            self.state, self.reason = RecordingState.IDLE, ""
            return recording.info.task

    def rerecord(self) -> EpisodeRecording:
        """Remove the episode and begin it again."""
        with self._lock:
            notes = self._running().info.notes
            return self.start(self.discard(), notes)

    def set_instruction(self, text: str) -> None:
        """Change the instruction of the running episode."""
        if not text.strip():
            raise RecordingError("the instruction is empty; say what the robot is to do")
        with self._lock:
            self._running().set_instruction(text, self._now_ns())

    def watch(self) -> None:
        """End an episode that cannot continue. Call this a few times a second."""
        recording = self.recording
        if recording is None:
            return
        error = recording.queue.error
        free = self.bytes_free
        fault = self._source.fault
        if error is not None:
            fault = f"the disk refused to write: {error.strerror or error}"
        elif free < self._reserve:
            fault = f"the disk is nearly full: {free / 1e6:.0f} MB left"
        if fault:
            with self._lock, contextlib.suppress(RecordingError):  # it is in `reason`
                if self.recording is recording:
                    self.stop(Outcome.FAILED, fault=fault)

    def close(self) -> FinishedEpisode | None:
        """End a running episode, keep it unmarked and return it."""
        with self._lock:
            return None if self.recording is None else self.stop()

    def _running(self) -> EpisodeRecording:
        if self.recording is None:
            raise RecordingError("no episode is being recorded; start one first")
        return self.recording

    def _name(self) -> str:
        now = datetime.now().astimezone()
        return f"{self.plan.embodiment.name}_{now:%Y%m%d_%H%M%S}_{self._started:03d}"

    def _topics(self) -> list[BagTopic]:
        return [
            BagTopic(
                name=state.name,
                type=state.topic.type,
                digest=definition(state.topic.type).digest,
                offered=state.offered,
            )
            for state in self._source.states
        ]


def prepare_directory(directory: str) -> tuple[str, list[str]]:
    """Make the folder of the episodes; return its path and the unfinished episodes in it.

    Raises :class:`RecordingError` if it cannot be made or written to.
    """
    path = os.path.abspath(os.path.expanduser(directory))
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"directory {directory!r} cannot be made: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise RecordingError(f"directory {path} cannot be written to; give another one")
    return path, sorted(name for name in os.listdir(path) if name.endswith(".recording"))
