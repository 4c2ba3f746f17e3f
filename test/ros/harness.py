"""A private ROS graph for one test: own domain, localhost only, nothing left running."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from pi0_ros.nodes.managed import ManagedNode
from pi0_ros.nodes.process import autostart

ROOT = Path(__file__).resolve().parents[2]
DDS_PROFILE = ROOT / "pi0_bringup" / "config" / "fastdds.xml"

# Domains a test may take: those whose ports lie below the ephemeral range. One is
# claimed by binding an abstract socket of its name, so that test runs side by side
# on one machine never share a graph, and a crash gives it back.
_DOMAINS = range(10, 102)


#: How long a test waits for an event before it fails [s]. No test depends on it: a busy machine may
#: take seconds to discover a topic.
PATIENCE_S = 60.0

_turn = itertools.count(os.getpid())


def claim_domain() -> tuple[int, socket.socket]:
    """A free ROS domain and the socket that keeps it ours until it is closed.

    Each claim begins its search one further: participants of a closed graph may be
    announced for a moment longer, and a test should not meet those of the last one.
    """
    first = next(_turn) % len(_DOMAINS)
    for domain in (*_DOMAINS[first:], *_DOMAINS[:first]):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0pi0_ros_test_domain_{domain}")
        except OSError:
            claim.close()
            continue
        return domain, claim
    raise RuntimeError(f"no free ROS domain in {_DOMAINS}: end other test runs first")


class Graph:
    """Nodes, collected messages and child processes of one test.

    Everything in-process runs in the test's thread: callbacks are executed
    inside :meth:`spin_until` and nowhere else, so a test decides when things
    happen. Child processes join the same domain and are ended by :meth:`close`.
    """

    def __init__(self) -> None:
        self.domain_id, self._claim = claim_domain()
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(self.domain_id),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), str(ROOT / "pi0_bringup"), os.environ.get("PYTHONPATH", "")]
            ),
        }
        self.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(DDS_PROFILE)
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(DDS_PROFILE)
        rclpy.init(domain_id=self.domain_id, signal_handler_options=SignalHandlerOptions.NO)
        self.executor = EventsExecutor()
        self._nodes: list[Node] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self.node = Node("test_probe")
        self._hold(self.node)

    def _hold(self, node: Node) -> None:
        self.executor.add_node(node)
        self._nodes.append(node)

    def add(
        self,
        factory: Callable[..., Node],
        parameters: Mapping[str, Any] | None = None,
        *,
        start: bool = True,
        **options: Any,
    ) -> Any:
        """Construct a node with these parameters and spin it with the graph.

        With ``start`` a managed node is configured and activated too; look at
        its ``failure`` for the reason if that was refused.
        """
        overrides = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
        node = factory(parameter_overrides=overrides, **options)
        self._hold(node)
        if start and isinstance(node, ManagedNode):
            autostart(node)
        return node

    def process(
        self,
        module: str,
        parameters: Mapping[str, Any] | None = None,
        arguments: tuple[str, ...] = (),
        **popen: Any,
    ) -> subprocess.Popen[bytes]:
        """Start ``python -m module`` in this graph, its own process group."""
        command = [sys.executable, "-m", module, *arguments]
        if parameters:
            command.append("--ros-args")
            for name, value in parameters.items():
                text = str(value).lower() if isinstance(value, bool) else value
                command += ["-p", f"{name}:={text}"]
        child = subprocess.Popen(command, env=self.environment, start_new_session=True, **popen)
        self._processes.append(child)
        return child

    def publisher(self, kind: type, topic: str, qos: QoSProfile) -> Publisher:
        """A publisher of the probe node."""
        return self.node.create_publisher(kind, topic, qos)

    def collect(self, kind: type, topic: str, qos: QoSProfile) -> list[Any]:
        """A list that every message on the topic is appended to."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def call(self, kind: type, service: str, request: Any, timeout_s: float = PATIENCE_S) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(kind, service)
        self.spin_until(client.service_is_ready, timeout_s, f"service {service} appears")
        future = client.call_async(request)
        self.spin_until(future.done, timeout_s, f"service {service} answers")
        self.node.destroy_client(client)
        return future.result()

    def spin_until(
        self, condition: Callable[[], object], timeout_s: float = PATIENCE_S, what: str = ""
    ) -> None:
        """Run callbacks until the condition is true; fail with ``what`` otherwise."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise AssertionError(f"not seen within {timeout_s:g} s: {what or condition}")
            self.executor.spin_once(timeout_sec=min(left, 0.05))

    def spin_some(self) -> None:
        """Run the callbacks that are ready now."""
        for _ in range(100):
            self.executor.spin_once(timeout_sec=0.0)

    def close(self) -> None:
        """End every child process, destroy every node, give the domain back."""
        for child in self._processes:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for child in self._processes:
            try:
                child.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        for node in reversed(self._nodes):
            if isinstance(node, ManagedNode):
                node.shut_down()
            self.executor.remove_node(node)
            node.destroy_node()
        rclpy.try_shutdown()
        gc.collect()  # participants live as long as the last reference to them
        self._claim.close()
