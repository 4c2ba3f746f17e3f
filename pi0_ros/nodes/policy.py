"""policy: observations in, action chunks out.

Inference runs in a thread of its own on the newest observation; callbacks only
note what arrived. See docs/reference/policy.md.
"""

from __future__ import annotations

import array
import gc
import threading
import uuid
from dataclasses import dataclass, replace
from typing import Any

from builtin_interfaces.msg import Duration
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from std_msgs.msg import String

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_msgs.msg import Observation as ObservationMessage
from pi0_ros import embodiment as embodiments
from pi0_ros.embodiment import Embodiment
from pi0_ros.nodes.checkpoint_swap import CheckpointSwap
from pi0_ros.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, ManagedNode, run
from pi0_ros.nodes.observations import ObservationReader, nanoseconds, time_message
from pi0_ros.nodes.remote_policy import RemoteSource
from pi0_ros.policy import Chunk, Observation, Policy, PolicyError
from pi0_ros.policy.report import PolicyReport
from pi0_ros.policy.strategy import Progress, SequentialStrategy
from pi0_ros.policy.worker import Worker

_LOG_AGAIN_S = 5.0
# An inference that outlasts this keeps the process from ending in order.
_JOIN_S = 20.0


@dataclass(frozen=True, slots=True)
class _Job:
    """One inference: of which activation, and on what."""

    activation: int
    observation: Observation


class PolicyNode(ManagedNode):
    """Parameters: ``embodiment``, ``checkpoint`` (folder), ``prompt``, ``num_steps`` (10),
    ``device`` ("cpu" or "cuda"), ``seed`` (-1: random), ``threads`` (of torch, 0: its choice);
    or instead of a checkpoint those of :class:`RemoteSource`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", **options)
        defaults = {"embodiment": "", "checkpoint": "", "prompt": "", "device": "cpu"}
        for name, default in (defaults | {"num_steps": 10, "seed": -1, "threads": 0}).items():
            self.declare_parameter(name, default)
        self._remote = RemoteSource(self)
        self._source_id = f"{self.get_fully_qualified_name()}:{uuid.uuid4().hex[:8]}"
        self._lock = threading.Lock()  # guards what the inference thread shares
        self._inferring = threading.Lock()  # held for an inference; _policy changes between two
        self._activation = 0
        self._sequence = 0  # never restarts: the executor refuses one that goes back
        self._active = False
        self._worker: Worker[_Job] | None = None
        self._diagnostics: DiagnosticsPublisher | None = None
        self._swap: CheckpointSwap | None = None
        self._publisher: Any = None
        self._listening: list[Subscription] = []
        self._prompt = ""
        self.add_post_set_parameters_callback(self._on_parameters)

    def load_policy(self, embodiment: Embodiment, checkpoint: str) -> Policy:
        """The backend named by the parameters, loaded and warmed up, or an error why not.

        Also called from another thread, beside a policy that serves.
        """
        remote = self._remote.policy(embodiment, checkpoint)
        if remote is not None:
            return remote
        # Imported here: torch takes seconds, and other backends do not need it.
        from pi0_ros.policy.backends.local import LocalOptions, LocalPolicy

        if not checkpoint:
            raise PolicyError("checkpoint is empty; give the folder of a checkpoint")
        options = LocalOptions(
            num_steps=self.get_parameter("num_steps").value,
            device=self.get_parameter("device").value,
            seed=self.get_parameter("seed").value,
            threads=self.get_parameter("threads").value,
        )
        return LocalPolicy(checkpoint, embodiment, options)

    def setup(self) -> None:
        """Load the checkpoint; there is no fallback."""
        embodiment = embodiments.load(self.get_parameter("embodiment").value)
        self._embodiment = embodiment
        self._prompt = str(self.get_parameter("prompt").value)
        self._policy = self.load_policy(embodiment, self.get_parameter("checkpoint").value)
        self._warn_if_untrained(self._policy)
        # What torch brought along lives as long as the process: left out of garbage
        # collection it delays neither an inference (0.1 s a time) nor the exit (0.5 s).
        gc.collect()
        gc.freeze()
        self._reader = ObservationReader(embodiment, self._policy.image_size)
        self._strategy = SequentialStrategy(
            execution_steps=embodiment.rates.execution_steps,
            uptake_ns=round(embodiment.sync.observation_timeout_s * 1e9),
        )
        self._report = PolicyReport()
        self._newest: Observation | None = None
        self._publisher = self.create_publisher(ActionChunk, "action_chunk", COMMAND_QOS)
        for kind, topic, callback, qos in (
            (ObservationMessage, "observation", self._on_observation, COMMAND_QOS),
            (ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS),
            (String, "prompt", self._on_prompt, LATCHED_QOS),
        ):
            self._listening.append(self.create_subscription(kind, topic, callback, qos))
        self._worker = Worker(self._infer, name="inference")
        self._diagnostics = DiagnosticsPublisher(
            self, embodiment.name, "policy", self._read_diagnostics
        )
        self._swap = CheckpointSwap(
            self,
            load=lambda path: self.load_policy(embodiment, path),
            switch=self._switch,
            serving=lambda: self._policy.checkpoint_id,
        )

    def start(self) -> None:
        """Begin to infer, on observations that arrive from now on; sequences go on."""
        with self._lock:
            self._activation += 1
            self._newest = None
            self._strategy.restart()
            self._active = True
        if not self._prompt.strip():
            self.get_logger().info("no prompt yet: set the parameter or publish on topic prompt")

    def stop(self) -> None:
        """Publish nothing more; the result of an inference still running is dropped."""
        with self._lock:
            self._active = False

    def teardown(self) -> None:
        """Release what setup created, however far it came; waits for a running inference."""
        self.stop()
        if self._swap is not None:
            self._swap.destroy()
            self._swap = None
        self._remote.close()
        if self._worker is not None:
            if not self._worker.close(_JOIN_S):
                self.get_logger().error(f"inference did not end within {_JOIN_S:g} s")
            self._worker = None
        if self._diagnostics is not None:
            self._diagnostics.destroy()
            self._diagnostics = None
        while self._listening:
            self.destroy_subscription(self._listening.pop())
        if self._publisher is not None:
            self.destroy_publisher(self._publisher)
            self._publisher = None

    def _on_observation(self, message: Any) -> None:
        if not self._active:
            return
        try:
            self._newest = self._reader.read(message)
        except PolicyError as error:
            self._report.refused(str(error))
            self.get_logger().warning(str(error), throttle_duration_sec=_LOG_AGAIN_S)
            return
        self._infer_if_due()

    def _on_status(self, message: Any) -> None:
        with self._lock:
            self._strategy.report(
                Progress(
                    stamp_ns=nanoseconds(message.header.stamp),
                    executing=message.state == ExecutorStatus.EXECUTING,
                    chunk_sequence=message.chunk_sequence,
                    checkpoint_id=message.checkpoint_id,
                    steps_consumed=message.steps_consumed,
                )
            )
        self._infer_if_due()

    def _on_prompt(self, message: Any) -> None:
        self._follow(message.data)

    def _on_parameters(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == "prompt":
                self._follow(parameter.value)

    def _follow(self, prompt: str) -> None:
        """Use this instruction from the next inference on."""
        if prompt != self._prompt:
            self.get_logger().info(f"prompt: {prompt!r}")
        self._prompt = prompt

    def _infer_if_due(self) -> None:
        """Hand the newest observation to the inference thread, once, when a chunk is due."""
        observation, worker = self._newest, self._worker
        if not self._active or observation is None or worker is None or worker.busy:
            return
        if not self._prompt.strip():
            return
        with self._lock:
            due = self._strategy.due(self._now_ns())
        if due:
            worker.submit(_Job(self._activation, replace(observation, prompt=self._prompt)))
            self._newest = None

    def _infer(self, job: _Job) -> None:
        """Runs in the inference thread: one observation to one published chunk."""
        try:
            with self._inferring:
                chunk = self._policy.infer(job.observation)
                with self._lock:
                    if self._active and job.activation == self._activation:
                        self._publish(chunk, job.observation)
        except Exception as error:  # whatever a backend raises: the robot holds, we go on
            if not self._active:  # on the way out, which ends the wait for a server
                return
            self._report.failed(str(error))
            self.get_logger().error(
                f"inference failed, no chunk published: {error}",
                throttle_duration_sec=_LOG_AGAIN_S,
            )

    def _publish(self, chunk: Chunk, observation: Observation) -> None:
        now_ns = self._now_ns()
        step_ns = round(self._embodiment.rates.step_duration_s * 1e9)
        message = ActionChunk(
            step_duration=Duration(sec=step_ns // 10**9, nanosec=step_ns % 10**9),
            action_names=list(self._embodiment.action_names),
            horizon=chunk.actions.shape[0],
            data=array.array("f", chunk.actions.tobytes()),
            observation_stamp=time_message(observation.stamp_ns),
            sequence=self._sequence,
            source_id=self._source_id,
            embodiment=self._embodiment.name,
            checkpoint_id=self._policy.checkpoint_id,
            prompt=observation.prompt,
            stage_names=list(chunk.stage_names),
            stage_ms=list(chunk.stage_ms),
        )
        message.header.stamp = time_message(now_ns)
        self._publisher.publish(message)
        self._strategy.sent(self._sequence, now_ns, self._policy.checkpoint_id)
        self._sequence += 1
        self._report.published(chunk)

    def _switch(self, policy: Policy, path: str) -> None:
        """Runs in the service's thread: the next inference is this policy's."""
        if policy.image_size != self._policy.image_size:
            raise PolicyError(
                f"checkpoint {policy.checkpoint_id} takes views of {policy.image_size} pixels and"
                f" camera_sync sends {self._policy.image_size}: restart both nodes with it"
            )
        if not self._inferring.acquire(timeout=_JOIN_S):
            raise PolicyError(f"the running inference did not end within {_JOIN_S:g} s")
        with self._lock:
            self._policy = policy
        self._inferring.release()
        self._warn_if_untrained(policy)
        self.set_parameters([Parameter("checkpoint", value=path)])

    def _warn_if_untrained(self, policy: Policy) -> None:
        if not policy.trained:
            self.get_logger().warning(
                f"checkpoint {policy.checkpoint_id} is untrained: the robot will move,"
                " and not do what the prompt says"
            )

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _read_diagnostics(self) -> Reading:
        values = {
            "checkpoint": self._policy.checkpoint_id,
            "trained": str(self._policy.trained).lower(),
            "prompt": self._prompt,
        }
        values |= self._remote.values() | self._report.values()
        if self._swap is not None and self._swap.loading is not None:
            values["loading"] = self._swap.loading
        problem = self._report.latest_problem()
        if not self._active:
            return OK, "inactive", values
        if problem is not None:
            return ERROR, problem, values
        if not self._prompt.strip():
            return WARN, "no prompt: set the parameter or publish on topic prompt", values
        if not self._policy.trained:
            return WARN, "the checkpoint is untrained", values
        return OK, f"{self._report.chunks} chunks", values


def main() -> None:
    """Run the node as a process of its own."""
    raise SystemExit(run(PolicyNode))


if __name__ == "__main__":
    main()
