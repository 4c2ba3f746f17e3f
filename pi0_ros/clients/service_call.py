"""One request to one service of a running node."""

from __future__ import annotations

from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.task import Future

#: A running node is discovered within this time [s].
_DISCOVERY_S = 10.0


class NoAnswerError(RuntimeError):
    """The service was not found, or did not answer in time."""


def call_service(
    kind: Any, request: Any, *, namespace: str, node: str, verb: str, timeout_s: float
) -> Any:
    """The response of ``<namespace>/<node>/<verb>``. Raises :class:`NoAnswerError`."""
    names = [name for name in f"{namespace}/{node}/{verb}".split("/") if name]
    service = "/" + "/".join(names)
    rclpy.init(args=[])
    caller = Node("pi0_service_call", enable_rosout=False, start_parameter_services=False)
    try:
        client = caller.create_client(kind, service)
        discovery_s = min(timeout_s, _DISCOVERY_S)
        if not client.wait_for_service(discovery_s):
            raise NoAnswerError(
                f"{service} did not answer within {discovery_s:g} s: is its node running in this"
                " ROS_DOMAIN_ID? Name it with --node and --namespace (`ros2 node list`)"
            )
        response: Future[Any] = client.call_async(request)
        rclpy.spin_until_future_complete(caller, response, timeout_sec=timeout_s)
        if not response.done():
            raise NoAnswerError(
                f"{service} did not answer within {timeout_s:g} s; it may still do what it was"
                " asked"
            )
        return response.result()
    finally:
        caller.destroy_node()
        rclpy.try_shutdown()
