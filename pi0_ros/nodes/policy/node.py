"""The policy node: observations in, action chunks out.

Inference runs in its own thread on the newest observation; callbacks only store what arrived. See
docs/reference/policy.md.
"""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, replace
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.parameter import Parameter

from pi0_msgs.msg import Observation as ObservationMessage
from pi0_ros import embodiment as embodiments
from pi0_ros.embodiment import Embodiment
from pi0_ros.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, Reading
from pi0_ros.nodes.managed import COMMAND_QOS, ManagedNode
from pi0_ros.nodes.observations import ObservationReader
from pi0_ros.nodes.policy.checkpoint_swap import CheckpointSwap
from pi0_ros.nodes.policy.chunk_source import ChunkSource
from pi0_ros.nodes.policy.instruction_input import InstructionInput
from pi0_ros.nodes.policy.remote_policy import RemoteSource
from pi0_ros.nodes.process import run
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.options import INFERENCE_DEFAULTS, InferenceOptions
from pi0_ros.policy.policy import Policy
from pi0_ros.policy.report import PolicyReport
from pi0_ros.policy.strategy import InferenceRequest
from pi0_ros.policy.types import Observation
from pi0_ros.policy.worker import Worker

_LOG_AGAIN_S = 5.0
# Longest wait for a running inference, at a swap and at shutdown.
_JOIN_S = 20.0


@dataclass(frozen=True, slots=True)
class _Job:
    """One inference: the observation and the strategy's request."""

    observation: Observation
    request: InferenceRequest


class PolicyNode(ManagedNode):
    """Parameters: ``embodiment``; ``checkpoint`` (folder) and :data:`INFERENCE_DEFAULTS`, or
    instead those of :class:`RemoteSource`; those of :class:`ChunkSource` and
    :class:`InstructionInput`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", **options)
        for name in ("embodiment", "checkpoint"):
            self.declare_parameter(name, "")
        for name, (default, description) in INFERENCE_DEFAULTS.items():
            descriptor = ParameterDescriptor(description=description)
            self.declare_parameter(name, default, descriptor)
        self._remote = RemoteSource(self)
        self._source = ChunkSource(self)
        self._instructions = InstructionInput(self)
        self._inferring = threading.Lock()  # held for an inference; _policy changes between two

    def load_policy(self, embodiment: Embodiment, checkpoint: str) -> Policy:
        """The backend that the parameters name, loaded and warmed up. Raises an error if it fails.

        It is also called from another thread while a policy serves.
        """
        remote = self._remote.policy(embodiment, checkpoint)
        if remote is not None:
            return remote
        # Imported here: torch takes seconds, and other backends do not need it.
        from pi0_ros.policy.backends.local import LocalPolicy

        if not checkpoint:
            raise PolicyError("checkpoint is empty; give the folder of a checkpoint")
        given = {name: self.get_parameter(name).value for name in INFERENCE_DEFAULTS}
        options = InferenceOptions(**given, continuing=self._source.continuing())
        return LocalPolicy(checkpoint, embodiment, options)

    def setup(self) -> None:
        """Load the checkpoint and create the topics; there is no fallback."""
        embodiment = embodiments.load(self.get_parameter("embodiment").value)
        self._embodiment = embodiment
        self.add_cleanup(self._remote.close)
        self._source.choice()  # report a bad one now, not after minutes of loading
        self._policy = self.load_policy(embodiment, self.get_parameter("checkpoint").value)
        self._warn_if_untrained(self._policy)
        # Torch's objects live as long as the process. A garbage collection that visits them delays
        # an inference by 0.1 s and the exit by 0.5 s.
        gc.collect()
        gc.freeze()
        self._reader = ObservationReader(embodiment, self._policy.image_size)
        self._report = PolicyReport()
        self._newest: Observation | None = None
        self._source.configure(embodiment, self._policy)
        self._source.listen(self._infer_if_due)
        self.add_cleanup(self._instructions.close)
        self._instructions.configure()
        self.create_subscription(
            ObservationMessage, "observation", self._on_observation, COMMAND_QOS
        )
        self._worker = Worker(self._infer, name="inference")
        self.add_cleanup(self._end_inference)
        self._swap = CheckpointSwap(
            self,
            load=lambda path: self.load_policy(embodiment, path),
            switch=self._switch,
            serving=lambda: self._policy.checkpoint_id,
        )
        self.add_cleanup(self._swap.destroy)
        DiagnosticsPublisher(self, embodiment.name, "policy", self._read_diagnostics)
        self.add_cleanup(self.stop)

    def start(self) -> None:
        """Infer on observations that arrive from now on; sequence numbers continue."""
        self._newest = None
        self._source.start()
        self._instructions.start()
        if not self._instructions.text:
            self.get_logger().info("no prompt yet: set the parameter or publish on topic prompt")

    def stop(self) -> None:
        """Stop publishing; the result of a running inference is dropped."""
        self._source.stop()
        self._instructions.stop()

    def _end_inference(self) -> None:
        """Wait for a running inference; one that waits for a server ends with the connection."""
        self._remote.close()
        if not self._worker.close(_JOIN_S):
            self.get_logger().error(f"inference did not end within {_JOIN_S:g} s")

    def _on_observation(self, message: Any) -> None:
        if not self._source.active:
            return
        try:
            self._newest = self._reader.read(message)
        except PolicyError as error:
            self._report.refused(str(error))
            self.get_logger().warning(str(error), throttle_duration_sec=_LOG_AGAIN_S)
            return
        self._infer_if_due()

    def _infer_if_due(self) -> None:
        """Give the newest observation to the inference thread, once, when a chunk is due."""
        observation, worker = self._newest, self._worker
        if not self._source.active or observation is None or worker.busy:
            return
        if not self._instructions.text:
            return
        request = self._source.request(self._instructions.text, self._policy)
        if request is not None:
            worker.submit(_Job(replace(observation, prompt=request.prompt), request))
            self._newest = None

    def _infer(self, job: _Job) -> None:
        """Compute and publish one chunk; runs in the inference thread."""
        try:
            with self._inferring:
                policy = self._policy
                if policy.checkpoint_id != job.request.checkpoint_id:
                    return  # swapped: the new policy must not continue a chunk of the old one
                chunk = policy.infer(job.observation, job.request.remaining)
                if self._source.deliver(chunk, job.observation, job.request):
                    self._report.published(chunk)
        except (
            Exception
        ) as error:  # a backend may raise anything: the robot holds, the node continues
            if not self._source.active:  # deactivated, which also ends the wait for a server
                return
            self._report.failed(str(error))
            self.get_logger().error(
                f"inference failed, no chunk published: {error}",
                throttle_duration_sec=_LOG_AGAIN_S,
            )

    def _switch(self, policy: Policy, path: str) -> None:
        """Use this policy from the next inference on; runs in the service's thread."""
        if policy.image_size != self._policy.image_size:
            raise PolicyError(
                f"checkpoint {policy.checkpoint_id} takes views of {policy.image_size} pixels and"
                f" camera_sync sends {self._policy.image_size}: restart both nodes with it"
            )
        self._source.check(policy)
        if not self._inferring.acquire(timeout=_JOIN_S):
            raise PolicyError(f"the running inference did not end within {_JOIN_S:g} s")
        self._policy = policy
        self._inferring.release()
        self._warn_if_untrained(policy)
        self.set_parameters([Parameter("checkpoint", value=path)])

    def _warn_if_untrained(self, policy: Policy) -> None:
        if not policy.trained:
            self.get_logger().warning(
                f"checkpoint {policy.checkpoint_id} is untrained: the robot will move,"
                " but not as the prompt says"
            )

    def _read_diagnostics(self) -> Reading:
        values = {
            "checkpoint": self._policy.checkpoint_id,
            "trained": str(self._policy.trained).lower(),
        }
        values |= self._instructions.values()
        values |= self._remote.values() | self._report.values() | self._source.values()
        if self._swap.loading is not None:
            values["loading"] = self._swap.loading
        problem = self._report.latest_problem()
        if not self._source.active:
            return OK, "inactive", values
        if problem is not None:
            return ERROR, problem, values
        if not self._instructions.text:
            return WARN, "no prompt: set the parameter or publish on topic prompt", values
        if not self._policy.trained:
            return WARN, "the checkpoint is untrained", values
        return OK, f"{self._report.chunks} chunks", values


def main() -> None:
    """Run the node as a process of its own."""
    raise SystemExit(run(PolicyNode))


if __name__ == "__main__":
    main()
