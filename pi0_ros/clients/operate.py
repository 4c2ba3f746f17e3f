"""Ask a running executor to start, stop or go home: the program behind ``pi0 robot``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import rclpy
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from pi0_ros.nodes.chunk_executor.operator_services import VERBS
from pi0_ros.system.terminal import while_read

_NOT_ASKED = 2


def main(words: Sequence[str] | None = None) -> int:
    """Return 0 if it was done, 1 if it was refused, 2 if nobody answered."""
    parser = argparse.ArgumentParser(prog="operate", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--node", default="chunk_executor", help="name of the executor's node")
    parser.add_argument("--namespace", default="/", help="its namespace")
    parser.add_argument("--timeout", type=float, default=10.0, help="wait this long [s]")
    given = parser.parse_args(words)
    names = [name for name in f"{given.namespace}/{given.node}".split("/") if name]
    service = "/".join(("", *names, given.verb))
    rclpy.init(args=[])
    node = Node("operate", enable_rosout=False, start_parameter_services=False)
    try:
        return _ask(node, service, given.timeout)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _ask(node: Node, service: str, timeout_s: float) -> int:
    client = node.create_client(Trigger, service)
    asked: Future[Trigger.Response] | None = None
    if client.wait_for_service(timeout_s):
        asked = client.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(node, asked, timeout_sec=timeout_s)
    response = asked.result() if asked is not None and asked.done() else None
    if response is None:
        sys.stderr.write(
            f"{service} did not answer within {timeout_s:g} s: is the executor running in this"
            " ROS_DOMAIN_ID? Name it with --node and --namespace\n"
        )
        return _NOT_ASKED
    if response.success:
        sys.stdout.write(f"{response.message}\n")
        return 0
    sys.stderr.write(f"refused: {response.message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(while_read(main))
