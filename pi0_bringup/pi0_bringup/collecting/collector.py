"""Collects one demonstration: reset the scene, record, demonstrate, mark the episode."""

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

#: A demonstration takes about 9 s of simulated time; after this time the simulation is stuck.
_STEP_S = 120.0
#: The objects come to rest on the table in less [simulated s].
_SETTLE_S = 0.5
#: Recorded after the last motion [simulated s].
_TAIL_S = 0.3


class EpisodeError(RuntimeError):
    """An episode could not be recorded; the message says which step failed."""


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


class DemonstrationCollector(Node):
    """Calls the services of simulation, executor, recorder and expert, one after the other.

    ``wait(condition, timeout_s)`` spins until the condition holds and returns whether it did in
    time; it raises if a process has died. ``activity`` says what is being done.
    """

    def __init__(
        self,
        task: Task,
        wait: Callable[[Callable[[], object], float], bool],
        executor: Any,
    ) -> None:
        super().__init__(
            "demonstration_collector",
            parameter_overrides=[Parameter("use_sim_time", value=True)],
            enable_rosout=False,
        )
        self._task = task
        self._wait = wait
        self.recorder = RecorderLink(self, executor, "/recorder")
        self.activity = "starting"
        self._state: int | None = None
        self._finished = 0
        self._aborted = ""
        self._rewards: list[int] = []
        self._reached_s: float | None = None
        self._begin_s = 0.0
        self.create_subscription(ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS)
        self.create_subscription(Int32, "simulation/reward", self._on_reward, COMMAND_QOS)
        self.create_subscription(UInt64, "scripted_expert/finished", self._on_finished, LATCHED_QOS)
        self.create_subscription(String, "scripted_expert/aborted", self._on_aborted, COMMAND_QOS)
        self._executor_state = self.create_client(ChangeState, "chunk_executor/change_state")
        self._reset = self.create_client(ResetSimulation, "mujoco_robot/reset")
        self._expert_seed = self.create_client(SetParameters, "scripted_expert/set_parameters")
        self._demonstrate = self.create_client(Trigger, "scripted_expert/demonstrate")

    def connect(self, timeout_s: float) -> None:
        """Wait until every service is available. Raises :class:`EpisodeError`."""
        clients = (self._executor_state, self._reset, self._expert_seed, self._demonstrate)
        self._until(
            lambda: self.recorder.connected and all(c.service_is_ready() for c in clients),
            "simulation, executor, recorder and expert are available",
            timeout_s,
        )

    def demonstrate(self, number: int, seed: int, instruction: str) -> Demonstration:
        """Record one demonstration. Raises :class:`EpisodeError`."""
        self._begin_episode(seed)
        self.activity = f"seed {seed}: demonstrating"
        started = self._answer(self.recorder.start(instruction, f"scripted expert, seed {seed}"))
        self._expect(started, "the recorder did not start")
        try:
            self._drive(seed)
        except EpisodeError:
            # An interrupted demonstration must not become an episode.
            self._answer(self.recorder.discard())
            raise
        duration_s = self._now_s() - self._begin_s
        self._sleep(_TAIL_S)
        self.activity = f"seed {seed}: keeping"
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
        """Reset the scene with the seed; wait until the executor holds the arms."""
        self.activity = f"seed {seed}: resetting"
        # An active executor would command the arms back to their old pose.
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
            raise EpisodeError(f"the expert refused the seed: {answer.results[0].reason}")
        finished, self._aborted = self._finished, ""
        self._rewards, self._reached_s, self._begin_s = [], None, self._now_s()
        self._expect(
            self._answer(self._demonstrate.call_async(Trigger.Request())),
            "the expert did not begin",
        )
        self._until(
            lambda: self._finished > finished or self._aborted, "the demonstration has ended"
        )
        if self._aborted:
            raise EpisodeError(f"the expert was interrupted: {self._aborted}")
        recording = self.recorder.status
        if recording is None or recording.state != recording.RECORDING:
            reason = recording.reason if recording else "no status"
            raise EpisodeError(f"the recorder stopped during the demonstration: {reason}")

    def _change(self, transition: int, what: str) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self._answer(self._executor_state.call_async(request))
        if not answer.success:
            raise EpisodeError(f"the executor cannot {what}")

    def _sleep(self, simulated_s: float) -> None:
        until_s = self._now_s() + simulated_s
        self._until(
            lambda: self._now_s() >= until_s, f"{simulated_s:g} simulated seconds have passed"
        )

    def _until(
        self, condition: Callable[[], object], what: str, timeout_s: float = _STEP_S
    ) -> None:
        if not self._wait(condition, timeout_s):
            status = self.recorder.status
            said = f"; the recorder says: {status.reason}" if status and status.reason else ""
            raise EpisodeError(f"timeout after {timeout_s:g} s, waiting until {what}{said}")

    def _answer(self, response: Future[Any]) -> Any:
        self._until(response.done, "a service answers")
        return response.result()

    def _expect(self, answer: Any, complaint: str) -> None:
        if not answer.success:
            raise EpisodeError(f"{complaint}: {answer.message}")

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) * S_PER_NS

    def _on_status(self, message: ExecutorStatus) -> None:
        self._state = message.state

    def _on_reward(self, message: Int32) -> None:
        self._rewards.append(message.data)
        if self._task.is_solved(message.data) and self._reached_s is None:
            self._reached_s = self._now_s() - self._begin_s

    def _on_finished(self, message: UInt64) -> None:
        self._finished = message.data

    def _on_aborted(self, message: String) -> None:
        self._aborted = message.data
