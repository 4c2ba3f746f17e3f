"""recorder: every topic of an embodiment into one rosbag2 bag per episode.

This is the ROS side of :mod:`pi0_ros.recording.session`. See docs/reference/recorder.md.
"""

from __future__ import annotations

import math
import os
import platform
import threading
import time
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType

from pi0_msgs.action import RecordEpisode
from pi0_msgs.msg import RecorderStatus
from pi0_ros import __version__, embodiment
from pi0_ros.instruction import Instruction
from pi0_ros.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.heap import keep_freed_memory
from pi0_ros.nodes.managed import LATCHED_QOS, ManagedNode
from pi0_ros.nodes.process import run
from pi0_ros.nodes.recorder.services import RecorderServices, describe
from pi0_ros.nodes.recorder.streams import RawStreams
from pi0_ros.recording.episode_recording import EpisodeRecording, RecordingPlan
from pi0_ros.recording.session import RecordingState, Session, prepare_directory
from pi0_ros.recording.topics import EpisodeTopic, Role, episode_topics
from pi0_ros.stamps import NS_PER_S

_STATUS_S = 0.5
# Period at which the quality gate checks the running episode.
_CHECK_S = 1.0
_MIB = 1 << 20


class Recorder(ManagedNode):
    """Parameters: see docs/reference/recorder.md."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        self.declare_parameter("embodiment", "")
        self.declare_parameter("directory", "~/pi0_episodes")
        self.declare_parameter("extra_topics", "")
        self.declare_parameter("require_commands", True)
        self.declare_parameter("queue_mb", 256)
        self.declare_parameter("reserve_mb", 512)
        self.session: Session | None = None
        self._streams: RawStreams | None = None
        self._warnings: tuple[str, ...] = ()
        self._checked_s = 0.0
        self._publishing = threading.Lock()  # the threads of the operator services publish as well

    def setup(self) -> None:
        """Read the parameters and check the directory."""
        robot = embodiment.load(self.get_parameter("embodiment").value)
        commands = bool(self.get_parameter("require_commands").value)
        topics = episode_topics(robot, with_commands=commands)
        topics = (*topics, *self._extra_topics({topic.name for topic in topics}))
        directory, unfinished = prepare_directory(self.get_parameter("directory").value)
        if unfinished:
            self.get_logger().warning(
                f"{len(unfinished)} unfinished episodes in {directory}, {unfinished[0]} first;"
                " `pi0 bag repair` them, or remove them"
            )
        self._plan = RecordingPlan(
            embodiment=robot,
            topics=topics,
            directory=Path(directory),
            embodiment_yaml=robot.path.read_text(encoding="utf-8"),
            queue_bytes=self._size("queue_mb", least=16),
            software=_software(),
        )
        self._reserve_bytes = self._size("reserve_mb", least=1)
        self._publisher = self.create_publisher(RecorderStatus, "~/status", LATCHED_QOS)
        DiagnosticsPublisher(self, robot.name, "recorder", self._read_diagnostics)
        keep_freed_memory()

    def start(self) -> None:
        """Subscribe to the topics and offer the operator services."""
        self.add_cleanup(self._forget_session)
        self._streams = RawStreams(self, self._plan.topics)
        self.add_cleanup(self._streams.close)
        self.session = Session(
            self._plan,
            self._streams,
            lambda: int(self.get_clock().now().nanoseconds),
            reserve_bytes=self._reserve_bytes,
        )
        services = RecorderServices(self, self.session, self.publish_status, self._fill_feedback)
        self.add_cleanup(services.destroy)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_STATUS_S, self._on_timer, clock=steady)

    def stop(self) -> None:
        """Keep a running episode unmarked, and stop receiving."""
        if self.session is not None:
            ended = self.session.close()
            if ended is not None:
                self.get_logger().warning(f"stopped while recording; kept {describe(ended)}")
            self.publish_status()

    def _forget_session(self) -> None:
        self.session = self._streams = None

    def publish_status(self) -> None:
        """Publish the status now. Any thread may call this."""
        with self._publishing:
            status = self._status()
            if status is not None:
                self._publisher.publish(status)

    def _on_timer(self) -> None:
        session, streams = self.session, self._streams
        if session is None or streams is None:
            return
        now_s = time.monotonic()
        ros_s = self.get_clock().now().nanoseconds / NS_PER_S  # a simulation may be slow
        for state in streams.states:
            state.sample(ros_s)
        session.watch()
        streams.match_publishers()
        if now_s - self._checked_s >= _CHECK_S:
            self._checked_s = now_s
            self._check_running_episode(session)
        self.publish_status()

    def _check_running_episode(self, session: Session) -> None:
        recording = session.recording
        try:
            warnings = (
                () if recording is None else recording.warnings(self.get_clock().now().nanoseconds)
            )
        except Exception as error:  # an error in a check must not end the recording
            warnings = (f"the episode cannot be checked: {error!r}",)
        for text in warnings:
            self.get_logger().warning(text, throttle_duration_sec=10.0)
        self._warnings = warnings

    def _status(self) -> RecorderStatus | None:
        session, streams = self.session, self._streams
        if session is None or streams is None:
            return None
        recording = session.recording
        obstacles = () if recording is not None else session.obstacles()
        status = RecorderStatus(
            embodiment=self._plan.embodiment.name,
            state=session.state.value,
            reason=session.reason or "; ".join(obstacles),
            ready=recording is None and not obstacles,
            episodes_kept=session.kept,
            elapsed_s=session.elapsed_s,
            bytes_free=session.bytes_free,
            warnings=list(self._warnings) if recording is not None else [],
        )
        status.header.stamp = self.get_clock().now().to_msg()
        shown = recording or (session.last[0] if session.last else None)
        if shown is not None:
            ended = session.last[1] if session.last and recording is None else None
            status.episode_path = str(ended.path if ended else shown.folder)
            status.task = shown.info.task
            status.bytes_written = shown.bytes_written
            status.received = list(shown.queue.received)
            status.lost = list(shown.queue.lost)
            status.written = [shown.written(i) for i in range(len(streams.states))]
        else:
            zeros = [0] * len(streams.states)
            status.received, status.written, status.lost = zeros, zeros, zeros
        status.instruction = _in_force(shown, streams.instruction.labelling)
        now_s = time.monotonic()
        ages = [state.age_s(now_s) for state in streams.states]
        status.topics = [state.topic.name for state in streams.states]
        status.rates_hz = [state.rate_hz() for state in streams.states]
        status.expected_hz = [state.topic.expected_hz for state in streams.states]
        status.ages_s = [math.nan if age is None else age for age in ages]
        return status

    def _fill_feedback(self, feedback: RecordEpisode.Feedback) -> None:
        status = self._status()
        if status is not None:
            for field in ("elapsed_s", "bytes_written", "topics", "rates_hz", "lost", "warnings"):
                setattr(feedback, field, getattr(status, field))

    def _read_diagnostics(self) -> Reading:
        session = self.session
        if session is None:
            return OK, "inactive", {}
        recording = session.recording
        values = {
            "state": session.state.name.lower(),
            "episodes_kept": str(session.kept),
            "free_space_gb": f"{session.bytes_free / 1e9:.1f}",
            "directory": str(self._plan.directory),
        }
        if recording is not None:
            values["episode"] = recording.path.name
            values["waiting_for_disk_mb"] = f"{recording.queue.waiting_bytes / 1e6:.1f}"
            values["lost_messages"] = str(sum(recording.queue.lost))
            level = ERROR if any(recording.queue.lost) else WARN if self._warnings else OK
            text = self._warnings[0] if self._warnings else f"recording {recording.path.name}"
            return level, text, values
        if session.state is RecordingState.FAILED:
            return ERROR, session.reason, values
        obstacles = session.obstacles()
        return (WARN, obstacles[0], values) if obstacles else (OK, "ready", values)

    def _extra_topics(self, taken: set[str]) -> tuple[EpisodeTopic, ...]:
        text = self.get_parameter("extra_topics").value
        topics = []
        for entry in filter(None, map(str.strip, text.split(","))):
            words = entry.split()
            if len(words) != 2 or words[1].count("/") != 2:
                raise ValueError(
                    f"extra_topics has {entry!r}; give NAME TYPE, NAME TYPE, such as"
                    " depth/image sensor_msgs/msg/Image"
                )
            if words[0] in taken:
                raise ValueError(f"extra_topics has {words[0]}, which is recorded anyway; drop it")
            taken.add(words[0])
            topics.append(EpisodeTopic(name=words[0], type=words[1], role=Role.EXTRA))
        return tuple(topics)

    def _size(self, name: str, *, least: int) -> int:
        value = int(self.get_parameter(name).value)
        if value < least:
            raise ValueError(f"{name} is {value}; give megabytes, at least {least}")
        return value * _MIB


def _in_force(episode: EpisodeRecording | None, published: Instruction | None) -> str:
    """The newer of the recorder's own instruction and the published one, as frames are labelled."""
    if episode is None:
        return "" if published is None else published.text
    own = episode.instruction
    newer = published is not None and published.stamp_ns > own.stamp_ns
    return published.text if published is not None and newer else own.text


def _software() -> dict[str, str]:
    return {
        "pi0_ros": __version__,
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", "jazzy"),
        "rmw": os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"),
    }


def main() -> None:
    """Run the node as a process of its own."""
    raise SystemExit(run(Recorder))


if __name__ == "__main__":
    main()
