"""One demonstration after the other: reset, record, demonstrate, judge, keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_msgs.msg import Int32, String, UInt64
from std_srvs.srv import Trigger

from pi0_bringup.simulation.scene import Task
from pi0_msgs.msg import ExecutorStatus
from pi0_msgs.srv import ResetSimulation, StopEpisode
from pi0_ros.clients.record.link import RecorderLink
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS
from pi0_ros.stamps import S_PER_NS

#: A demonstration lasts about 9 s; a simulation this much slower than real time is stuck.
_STEP_S = 120.0
#: The cube falls onto the table and comes to rest in less [simulated s].
_SETTLE_S = 0.5
#: Recorded after the last motion [simulated s].
_TAIL_S = 0.3


class CollectError(RuntimeError):
    """Why an episode could not be had; the message says what did not happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """The result of one demonstration: the scene's reward, and where the bag is.

    ``succeeded``: whether the best reward is that of the task's last stage, ``max_reward``.
    ``accepted`` and ``problems`` are the quality gate's.
    """

    number: int
    seed: int
    succeeded: bool
    best_reward: int
    max_reward: int
    last_reward: int
    success_s: float | None
    duration_s: float
    path: str
    accepted: bool
    problems: tuple[str, ...]


class Director(Node):
    """Asks simulation, executor, recorder and expert to do their part, in turn.

    ``wait(condition, timeout_s)`` lets things happen until the condition holds; it returns
    whether it did in time, and raises if a process has died.
    """

    def __init__(
        self,
        task: Task,
        wait: Callable[[Callable[[], object], float], bool],
        executor: Any,
    ) -> None:
        super().__init__(
            "demonstration_director",
            parameter_overrides=[Parameter("use_sim_time", value=True)],
            enable_rosout=False,
        )
        self._task = task
        self._wait = wait
        self.recorder = RecorderLink(self, executor, "/recorder")
        self.doing = "starting"
        self._state: int | None = None
        self._finished = 0
        self._aborted = ""
        self._rewards: list[int] = []
        self._reached_s: float | None = None
        self._begin_s = 0.0
        self.create_subscription(ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS)
        self.create_subscription(Int32, "simulation/reward", self._on_reward, COMMAND_QOS)
        self.create_subscription(UInt64, "scripted_expert/finished", self._on_end, LATCHED_QOS)
        self.create_subscription(String, "scripted_expert/aborted", self._on_abort, COMMAND_QOS)
        self._executor_state = self.create_client(ChangeState, "chunk_executor/change_state")
        self._reset = self.create_client(ResetSimulation, "mujoco_robot/reset")
        self._expert_seed = self.create_client(SetParameters, "scripted_expert/set_parameters")
        self._demonstrate = self.create_client(Trigger, "scripted_expert/demonstrate")

    def connect(self, timeout_s: float) -> None:
        """Wait until everybody is there. Raises :class:`CollectError`."""
        clients = (self._executor_state, self._reset, self._expert_seed, self._demonstrate)
        self._until(
            lambda: self.recorder.connected and all(c.service_is_ready() for c in clients),
            "simulation, executor, recorder and expert are there",
            timeout_s,
        )

    def demonstrate(self, number: int, seed: int, instruction: str) -> Demonstration:
        """Record one demonstration. Raises :class:`CollectError`."""
        self._begin_episode(seed)
        self.doing = f"seed {seed}: demonstrating"
        started = self._answer(self.recorder.start(instruction, f"scripted expert, seed {seed}"))
        self._expect(started, "the recorder did not start")
        try:
            self._drive(seed)
        except CollectError:
            # What is no demonstration is no episode either.
            self._answer(self.recorder.discard())
            raise
        duration_s = self._now_s() - self._begin_s
        self._sleep(_TAIL_S)
        self.doing = f"seed {seed}: keeping"
        rewards = self._rewards or [0]
        succeeded = self._task.is_solved(max(rewards))
        outcome = StopEpisode.Request.SUCCEEDED if succeeded else StopEpisode.Request.FAILED
        kept = self._answer(self.recorder.stop(outcome))
        self._expect(kept, "the episode was not kept")
        return Demonstration(
            number=number,
            seed=seed,
            succeeded=succeeded,
            best_reward=max(rewards),
            max_reward=self._task.max_reward,
            last_reward=rewards[-1],
            success_s=self._reached_s,
            duration_s=duration_s,
            path=kept.path,
            accepted=kept.accepted,
            problems=tuple(kept.problems),
        )

    def _begin_episode(self, seed: int) -> None:
        """Scene of the seed, arms at their start pose and held there, everybody ready."""
        self.doing = f"seed {seed}: resetting"
        # An active executor would command the arms back to where they were.
        self._change(Transition.TRANSITION_DEACTIVATE, "be deactivated")
        asked = self._reset.call_async(ResetSimulation.Request(seed=seed))
        self._expect(self._answer(asked), "the simulation was not reset")
        self._change(Transition.TRANSITION_ACTIVATE, "be activated")
        self._until(lambda: self._state == ExecutorStatus.HOLDING, "the executor holds the arms")
        self._sleep(_SETTLE_S)
        status = self.recorder.status
        self._until(
            lambda: (
                self.recorder.status is not status
                and self.recorder.status is not None
                and self.recorder.status.ready
            ),
            "the recorder is ready",
        )

    def _drive(self, seed: int) -> None:
        value = Parameter("seed", value=seed).to_parameter_msg()
        answer = self._answer(
            self._expert_seed.call_async(SetParameters.Request(parameters=[value]))
        )
        if not answer.results[0].successful:
            raise CollectError(f"the expert takes no seed: {answer.results[0].reason}")
        finished, self._aborted = self._finished, ""
        self._rewards, self._reached_s, self._begin_s = [], None, self._now_s()
        self._expect(
            self._answer(self._demonstrate.call_async(Trigger.Request())),
            "the expert did not begin",
        )
        self._until(lambda: self._finished > finished or self._aborted, "the demonstration is over")
        if self._aborted:
            raise CollectError(f"the expert was interrupted: {self._aborted}")
        recording = self.recorder.status
        if recording is None or recording.state != recording.RECORDING:
            reason = recording.reason if recording else "no status"
            raise CollectError(f"the recorder stopped meanwhile: {reason}")

    def _change(self, transition: int, what: str) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self._answer(self._executor_state.call_async(request))
        if not answer.success:
            raise CollectError(f"the executor cannot {what}")

    def _sleep(self, simulated_s: float) -> None:
        until_s = self._now_s() + simulated_s
        self._until(lambda: self._now_s() >= until_s, f"{simulated_s:g} simulated seconds pass")

    def _until(
        self, condition: Callable[[], object], what: str, timeout_s: float = _STEP_S
    ) -> None:
        if not self._wait(condition, timeout_s):
            status = self.recorder.status
            said = f"; the recorder says: {status.reason}" if status and status.reason else ""
            raise CollectError(f"not within {timeout_s:g} s: {what}{said}")

    def _answer(self, asked: Future[Any]) -> Any:
        self._until(asked.done, "an answer")
        return asked.result()

    def _expect(self, answer: Any, complaint: str) -> None:
        if not answer.success:
            raise CollectError(f"{complaint}: {answer.message}")

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) * S_PER_NS

    def _on_status(self, message: ExecutorStatus) -> None:
        self._state = message.state

    def _on_reward(self, message: Int32) -> None:
        self._rewards.append(message.data)
        if self._task.is_solved(message.data) and self._reached_s is None:
            self._reached_s = self._now_s() - self._begin_s

    def _on_end(self, message: UInt64) -> None:
        self._finished = message.data

    def _on_abort(self, message: String) -> None:
        self._aborted = message.data
