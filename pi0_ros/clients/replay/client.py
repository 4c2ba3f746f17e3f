"""Play an episode's actions to a robot, through its executor."""

from __future__ import annotations

import os
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from numpy.typing import NDArray
from rclpy.duration import Duration as Timeout
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_ros.clients.replay.plan import ReplayPlan, plan_replay
from pi0_ros.dataset.recorded_actions import RecordedActions, read_actions
from pi0_ros.embodiment import Embodiment, load
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS
from pi0_ros.nodes.time_messages import time_message
from pi0_ros.recording.errors import RecordingError
from pi0_ros.stamps import S_PER_NS, nanoseconds
from pi0_ros.system.stop_signals import StopSignals
from pi0_ros.system.terminal import TerminalLine

#: How long to wait for an executor and for its clock [s].
_DISCOVERY_S = 10.0
#: A chunk is sent this long before its first step is due [s].
_LEAD_S = 0.04
#: The executor reports every tick. After this time without a report the replay ends [s].
_STATUS_TIMEOUT_S = 1.0
#: How long to wait until the last chunk is acknowledged [s].
_ACKNOWLEDGEMENT_S = 0.5
_FAILED, _INTERRUPTED = 1, 130
#: A larger difference means that the executor uses another clock, such as simulated time [s].
_CLOCK_TOLERANCE_S = 1.0
#: Period of the progress line on a terminal [s], and width of its bar in characters.
_LINE_PERIOD_S, _BAR_WIDTH = 0.1, 30


class ReplayError(RuntimeError):
    """Why the replay could not start or stopped early."""


class Replay(Node):
    """Sends the chunks of a recording; ``finished`` once the last has been executed.

    Raises :class:`ReplayError` from :meth:`step` when the robot stops following.
    """

    def __init__(
        self, recorded: RecordedActions, robot: Embodiment, speed: float, **options: Any
    ) -> None:
        super().__init__("replay", enable_rosout=False, **options)
        self._recorded, self._robot, self._speed = recorded, robot, speed
        self._status: ExecutorStatus | None = None
        self._status_s = time.monotonic()
        self._source_id = f"replay-{os.getpid()}"
        self._plan: ReplayPlan | None = None
        self._begin_ns = 0
        self._next_row = 0
        self._sequence = 0
        self._refusals = 0
        self._was_followed = False
        self.finished = False
        self._chunks = self.create_publisher(ActionChunk, "action_chunk", COMMAND_QOS)
        self.create_subscription(ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS)

    @property
    def progress(self) -> tuple[float, float, bool]:
        """Seconds played, seconds in total, and whether the robot still moves to the first pose."""
        plan = self._plan
        if plan is None:
            return 0.0, 0.0, True
        played_s = min(max((self._now_ns() - self._begin_ns) * S_PER_NS, 0.0), plan.duration_s)
        return played_s, plan.duration_s, played_s < plan.approach_steps * plan.step_ns * S_PER_NS

    def accepting_status(self) -> ExecutorStatus:
        """The executor's status. Raises :class:`ReplayError` if it does not accept our chunks."""
        status = self._status
        if status is None:
            raise ReplayError(
                f"no executor_status within {_DISCOVERY_S:g} s; start the robot and its "
                "chunk_executor (ROS_DOMAIN_ID must be the same)"
            )
        if status.embodiment not in ("", self._robot.name):
            raise ReplayError(
                f"the executor drives {status.embodiment!r} and the episode was recorded on "
                f"{self._robot.name!r}"
            )
        if status.state == ExecutorStatus.EXECUTING:
            raise ReplayError(f"{status.source_id or 'a policy'} drives the robot; stop it first")
        if status.state != ExecutorStatus.HOLDING:
            raise ReplayError(f"the executor accepts no chunks now: {status.reason}")
        return status

    def begin(self) -> None:
        """Plan from the currently commanded pose. Raises :class:`ReplayError`."""
        status = self.accepting_status()
        if not self.is_connected:
            raise ReplayError(
                "the executor does not listen on action_chunk, or its stamps are not of this "
                "clock: it follows another /clock, or the clocks of two machines differ"
            )
        columns = [list(status.action_names).index(name) for name in self._robot.action_names]
        commanded = np.array(status.command)[columns]
        recorded = self._recorded
        try:
            self._plan = plan_replay(
                self._robot, recorded.actions, recorded.rate_hz, commanded, self._speed
            )
        except ValueError as error:
            raise ReplayError(str(error)) from error
        self._refusals = status.chunks_refused
        self._begin_ns = self._now_ns() + round(2.0 * _LEAD_S / S_PER_NS)

    def step(self) -> None:
        """Send the chunk that is due. Raises :class:`ReplayError` if the robot does not follow."""
        plan = self._plan
        assert plan is not None  # set by begin()
        self._check_following(plan)
        now_ns = self._now_ns()
        due_ns = self._begin_ns + self._next_row * plan.step_ns - round(_LEAD_S / S_PER_NS)
        if self._next_row < len(plan.rows) and now_ns >= due_ns:
            begin_ns = self._begin_ns + self._next_row * plan.step_ns
            rows = plan.chunk(self._next_row).astype(np.float32)
            self._chunks.publish(self._message(plan, rows, begin_ns, now_ns))
            self._next_row += plan.stride
        self.finished = (now_ns - self._begin_ns) * S_PER_NS > plan.duration_s

    def halt(self) -> None:
        """Replace the rest of the last chunk by the currently commanded pose."""
        plan, status = self._plan, self._status
        if plan is None or status is None or not self._is_followed(status):
            return
        columns = [list(status.action_names).index(name) for name in self._robot.action_names]
        pose = np.where(plan.is_velocity, 0.0, np.array(status.command)[columns])
        now_ns = self._now_ns()
        rows = np.tile(pose, (plan.horizon, 1)).astype(np.float32)
        self._chunks.publish(self._message(plan, rows, now_ns, now_ns))
        self._chunks.wait_for_all_acked(Timeout(seconds=_ACKNOWLEDGEMENT_S))

    def _check_following(self, plan: ReplayPlan) -> None:
        status = self._status
        assert status is not None  # begin() received it
        if time.monotonic() - self._status_s > _STATUS_TIMEOUT_S:
            raise ReplayError(f"no executor_status for {_STATUS_TIMEOUT_S:g} s")
        if status.chunks_refused > self._refusals:
            raise ReplayError(f"the executor refused a chunk: {status.last_refusal}")
        if self._is_followed(status):
            self._was_followed = True
        elif self._was_followed or self._next_row > 3 * plan.stride:
            raise ReplayError(f"the executor no longer follows: {status.reason or 'held'}")

    def _is_followed(self, status: ExecutorStatus) -> bool:
        sources = ("", self._source_id)
        return status.state == ExecutorStatus.EXECUTING and status.source_id in sources

    def _message(
        self, plan: ReplayPlan, rows: NDArray[np.float32], begin_ns: int, now_ns: int
    ) -> ActionChunk:
        message = ActionChunk(
            step_duration=Duration(sec=0, nanosec=plan.step_ns),
            action_names=list(self._robot.action_names),
            horizon=plan.horizon,
            data=array("f", rows.tobytes()),
            observation_stamp=time_message(now_ns),
            sequence=self._sequence,
            source_id=self._source_id,
            embodiment=self._robot.name,
            checkpoint_id=f"replay of {self._recorded.title}",
            prompt=self._recorded.task,
        )
        message.header.stamp = time_message(begin_ns)
        self._sequence += 1
        return message

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_status(self, message: ExecutorStatus) -> None:
        self._status = message
        self._status_s = time.monotonic()

    @property
    def is_executor_ready(self) -> bool:
        """Whether the executor has reported and knows the pose of the robot."""
        return self._status is not None and self._status.state != ExecutorStatus.WAITING

    @property
    def shares_clock(self) -> bool:
        """Whether this node uses the same clock as the executor."""
        if self._status is None:
            return False
        stamp = self._status.header.stamp
        stamp_ns = nanoseconds(stamp)
        now_ns = self._now_ns()
        # Simulated time is 0 until /clock is received.
        return now_ns > 0 and abs(now_ns - stamp_ns) * S_PER_NS < _CLOCK_TOLERANCE_S

    @property
    def is_connected(self) -> bool:
        """Whether the executor subscribes to our chunks and uses the same clock."""
        return self._chunks.get_subscription_count() > 0 and self.shares_clock


def replay_episode(
    source: str,
    *,
    embodiment: str = "",
    speed: float = 1.0,
    namespace: str = "/",
    use_sim_time: str = "auto",
) -> int:
    """Return 0 after the whole episode, 1 if the robot stopped following, 130 if interrupted.

    Raises :class:`RecordingError` or :class:`~pi0_ros.embodiment.EmbodimentError` for an episode
    that cannot be played to this robot.
    """
    recorded = read_actions(source)
    robot = _robot(embodiment, recorded)
    remaps = ["--ros-args", "-r", f"__ns:={'/' + namespace.strip('/')}"]
    rclpy.init(args=remaps, signal_handler_options=SignalHandlerOptions.NO)
    node = Replay(recorded, robot, speed)
    with StopSignals() as signals:  # a second signal does not interrupt halt()
        try:
            return _play(node, use_sim_time, signals.check)
        except ReplayError as error:
            sys.stderr.write(f"pi0: {error}\n")
            return _FAILED
        except KeyboardInterrupt:
            node.halt()
            sys.stderr.write("pi0: interrupted; the executor holds\n")
            return _INTERRUPTED
        except BaseException:  # such as a closed pipe: the robot must not move on
            node.halt()
            raise
        finally:
            node.destroy_node()
            rclpy.try_shutdown()


def _robot(name: str, recorded: RecordedActions) -> Embodiment:
    robot = load(name or recorded.embodiment)
    if robot.name != recorded.embodiment:
        raise RecordingError(
            f"{recorded.title} was recorded on {recorded.embodiment!r}; it is not for "
            f"{robot.name!r}"
        )
    if robot.action_names != recorded.names:
        raise RecordingError(
            f"{recorded.title} has actions {', '.join(recorded.names)}; {robot.name} at "
            f"{robot.path} has {', '.join(robot.action_names)}"
        )
    return robot


def _play(node: Replay, use_sim_time: str, check: Callable[[], None]) -> int:
    executor = EventsExecutor()
    executor.add_node(node)

    def spin(timeout_s: float) -> None:
        executor.spin_once(timeout_sec=timeout_s)
        check()

    _spin_until(spin, lambda: node.is_executor_ready)
    node.accepting_status()
    if use_sim_time == "true" or (use_sim_time == "auto" and not node.shares_clock):
        node.set_parameters([Parameter("use_sim_time", value=True)])
    _spin_until(spin, lambda: node.is_connected)
    node.begin()
    with TerminalLine(sys.stdout, _LINE_PERIOD_S) as line:
        while not node.finished:
            spin(0.01)
            node.step()
            line.update(lambda: _progress_line(*node.progress))
    sys.stdout.write("replayed; the executor holds the last pose\n")
    executor.remove_node(node)
    return 0


def _progress_line(played_s: float, total_s: float, approaching: bool) -> str:
    """The progress as a bar and in seconds."""
    done = round(_BAR_WIDTH * played_s / total_s) if total_s > 0.0 else 0
    what = "to the first pose" if approaching else "replaying"
    return f"[{'=' * done}{' ' * (_BAR_WIDTH - done)}] {played_s:5.1f} / {total_s:.1f} s  {what}"


def _spin_until(spin: Callable[[float], None], condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _DISCOVERY_S
    while not condition() and time.monotonic() < deadline_s:
        spin(0.05)
