"""Ask a running policy to load a checkpoint: the program behind ``pi0 checkpoint load``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import rclpy
from rclpy.node import Node
from rclpy.task import Future

from pi0_msgs.srv import LoadCheckpoint
from pi0_ros.system.terminal import while_read

# Until the service of a running node is discovered.
_DISCOVERY_S = 10.0
_NOT_ASKED = 2


def main(words: Sequence[str] | None = None) -> int:
    """Return 0 if the checkpoint serves now, 1 if it was refused, 2 if nobody answered."""
    parser = argparse.ArgumentParser(prog="load_checkpoint", description=__doc__)
    parser.add_argument("path", help="folder of the checkpoint, on the policy's machine")
    parser.add_argument("--node", default="policy", help="name of the policy node")
    parser.add_argument("--namespace", default="/", help="namespace of the policy node")
    parser.add_argument("--timeout", type=float, default=600.0, help="wait this long [s]")
    given = parser.parse_args(words)
    names = [name for name in f"{given.namespace}/{given.node}".split("/") if name]
    service = "/".join(("", *names, "load_checkpoint"))
    rclpy.init(args=[])
    node = Node("load_checkpoint", enable_rosout=False, start_parameter_services=False)
    try:
        return _ask(node, service, given.path, given.timeout)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _ask(node: Node, service: str, path: str, timeout_s: float) -> int:
    client = node.create_client(LoadCheckpoint, service)
    if not client.wait_for_service(min(timeout_s, _DISCOVERY_S)):
        sys.stderr.write(
            f"no service {service}: start the policy, or name it with --node and --namespace"
            " (`ros2 node list`); ROS_DOMAIN_ID must be the same\n"
        )
        return _NOT_ASKED
    asked: Future[LoadCheckpoint.Response] = client.call_async(LoadCheckpoint.Request(path=path))
    rclpy.spin_until_future_complete(node, asked, timeout_sec=timeout_s)
    response = asked.result() if asked.done() else None
    if response is None:
        sys.stderr.write(
            f"{service} did not answer within {timeout_s:g} s; it may still load {path}\n"
        )
        return _NOT_ASKED
    return _tell(response)


def _tell(response: LoadCheckpoint.Response) -> int:
    if response.success:
        sys.stdout.write(f"{response.message}\n")
        return 0
    sys.stderr.write(f"refused: {response.message}\n")
    if len(response.problems) > 1:
        sys.stderr.writelines(f"  - {problem}\n" for problem in response.problems)
    return 1


if __name__ == "__main__":
    sys.exit(while_read(main))
