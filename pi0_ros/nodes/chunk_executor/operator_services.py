"""The operator's five services, all std_srvs/Trigger: ~/start, ~/stop, ~/estop, ~/reset, ~/home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from pi0_ros.control import Answer

VERBS = ("start", "stop", "estop", "reset", "home")


class OperatorServices:
    """Offers one service for each verb and logs every request with its answer.

    ``ask`` takes a verb and returns the answer at once; no service waits for a tick.
    """

    def __init__(self, node: Node, ask: Callable[[str], Answer]) -> None:
        self._node = node
        self._ask = ask
        for verb in VERBS:
            node.create_service(Trigger, f"~/{verb}", self._callback(verb))

    def _callback(self, verb: str) -> Callable[[Any, Any], Any]:
        def on_request(_request: Any, response: Any) -> Any:
            answer = self._ask(verb)
            response.success, response.message = answer.done, answer.message
            done = "done" if answer.done else "refused"
            self._node.get_logger().warning(f"~/{verb} {done}: {answer.message}")
            return response

        return on_request
