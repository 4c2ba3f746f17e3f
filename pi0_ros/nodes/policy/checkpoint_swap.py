"""The service that swaps checkpoints, in a node and threads of its own.

A service callback must return the answer, and the EventsExecutor runs one callback at a time. A
load in it would delay the observations. So a second, hidden node of this process offers the
service.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from pi0_msgs.srv import LoadCheckpoint
from pi0_ros.policy.loading import BackgroundLoader, LoadResult
from pi0_ros.policy.policy import Policy

# One thread loads, the other refuses further requests meanwhile.
_THREADS = 2
# Longest wait for a running load at shutdown.
_JOIN_S = 20.0


class CheckpointSwap:
    """Offers ``~/load_checkpoint`` for ``node``. The node calls :meth:`destroy`.

    ``load(path)`` returns a policy that was tried out, or raises; it runs in a thread of low
    priority. ``switch(policy, path)`` replaces the policy between two inferences, or raises to keep
    the old one. ``serving`` returns the id of the current checkpoint.
    """

    def __init__(
        self,
        node: Node,
        *,
        load: Callable[[str], Policy],
        switch: Callable[[Policy, str], None],
        serving: Callable[[], str],
    ) -> None:
        self._logger = node.get_logger()
        self._loader = BackgroundLoader(load)
        self._switch = switch
        self._serving = serving
        # The underscore hides it; remappings given to the policy do not apply to it.
        self._side = Node(
            f"_{node.get_name()}_loader",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._side.create_service(
            LoadCheckpoint,
            node.resolve_service_name("~/load_checkpoint"),
            self._on_request,
            callback_group=ReentrantCallbackGroup(),
        )
        self._executor = MultiThreadedExecutor(_THREADS, context=node.context)
        self._executor.add_node(self._side)
        self._thread = threading.Thread(
            target=self._executor.spin, name="checkpoint-service", daemon=True
        )
        self._thread.start()

    @property
    def loading(self) -> str | None:
        """The path of the checkpoint that is being loaded, if any."""
        return self._loader.loading

    def destroy(self) -> None:
        """Remove the service, drop a running load and wait for its end."""
        if not self._loader.close(_JOIN_S):
            self._logger.error(f"loading a checkpoint did not end within {_JOIN_S:g} s")
        self._executor.shutdown(timeout_sec=_JOIN_S)
        self._thread.join(_JOIN_S)
        self._side.destroy_node()

    def _on_request(
        self, request: LoadCheckpoint.Request, response: LoadCheckpoint.Response
    ) -> LoadCheckpoint.Response:
        self._logger.info(f"asked to load checkpoint {request.path!r}")
        before = self._serving()
        result = self._loader.load(request.path)
        if result.policy is not None:
            result = self._try_switch(result, result.policy, request.path)
        response.success = result.policy is not None
        if response.success:
            response.message = f"{result.message}; it replaces {before}"
            self._logger.info(response.message)
        else:
            response.message = f"{result.message}; {before} serves on"
            self._logger.error(f"checkpoint refused: {response.message}")
        response.checkpoint_id = self._serving()
        response.problems = list(result.problems)
        response.load_s = result.load_s
        return response

    def _try_switch(self, result: LoadResult, policy: Policy, path: str) -> LoadResult:
        try:
            self._switch(policy, path)
        except Exception as error:  # the caller needs an answer, whatever the node raises
            reason = str(error) or repr(error)
            return replace(result, policy=None, message=reason, problems=(reason,))
        return result
