"""Processor time and latency of camera_sync, as a real process on a real graph.

A second process publishes raw camera frames and joint states like drivers;
this one subscribes to the observations. Prints a table and, last, one line of JSON.

    python bench/camera_sync.py --embodiment bimanual_trossen --duration 10
"""

from __future__ import annotations

import argparse
import array
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState

from pi0_msgs.msg import Observation
from pi0_ros import embodiment as embodiments
from pi0_ros.embodiment import Embodiment
from pi0_ros.nodes.managed import COMMAND_QOS, SENSOR_QOS
from pi0_ros.stamps import nanoseconds

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "pi0_bringup" / "config" / "fastdds.xml"
# The Fast DDS of Jazzy reads this variable and ignores FASTDDS_DEFAULT_PROFILES_FILE.
PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
TARGET_CPU = 0.40
SETTLE_S = 3.0


class Drivers(Node):
    """Raw cameras at their rates, in different phases like free-running ones, and joint states."""

    def __init__(self, embodiment: Embodiment, phase_ms: float, joint_state_hz: float) -> None:
        super().__init__("bench_drivers")
        start_s = time.monotonic() + 0.1
        self._due: list[list[Any]] = []  # [next deadline, period, publish]
        for index, camera in enumerate(embodiment.cameras):
            message = Image(height=480, width=640, encoding="rgb8", step=1920)
            message.data = array.array("B", os.urandom(480 * 1920))
            publisher = self.create_publisher(Image, camera.topic, SENSOR_QOS)
            start = start_s + index * phase_ms / 1e3
            self._due.append([start, 1.0 / camera.rate_hz, (publisher, message)])
        for topic in dict.fromkeys(dimension.topic for dimension in embodiment.state):
            names = [d.joint for d in embodiment.state if d.topic == topic]
            state = JointState(name=names, position=[0.0] * len(names))
            state.velocity = state.effort = [0.0] * len(names)
            publisher = self.create_publisher(JointState, topic, SENSOR_QOS)
            self._due.append([start_s, 1.0 / joint_state_hz, (publisher, state)])

    def run(self) -> None:
        """Publish at absolute deadlines until interrupted."""
        while rclpy.ok():
            entry = min(self._due, key=lambda due: due[0])
            time.sleep(max(0.0, entry[0] - time.monotonic()))
            publisher, message = entry[2]
            message.header.stamp = self.get_clock().now().to_msg()
            publisher.publish(message)
            entry[0] += entry[1]


class Listener(Node):
    """Latency from the newest frame's stamp to the arrival of its observation."""

    def __init__(self) -> None:
        super().__init__("bench_listener")
        self.clear()
        self.create_subscription(Observation, "observation", self._on_observation, COMMAND_QOS)

    def clear(self) -> None:
        self.latency_ms: list[float] = []
        self.skew_ms: list[float] = []

    def _on_observation(self, message: Any) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self.latency_ms.append((now_ns - nanoseconds(message.header.stamp)) / 1e6)
        self.skew_ms.append(message.skew_s * 1e3)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spin(executor: EventsExecutor, duration_s: float, until: Any = None) -> None:
    deadline = time.monotonic() + duration_s
    while (left := deadline - time.monotonic()) > 0 and not (until and until()):
        executor.spin_once(timeout_sec=min(left, 0.1))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run both processes and listen."""
    command = [sys.executable, "-m", "pi0_ros.nodes.camera_sync", "--ros-args"]
    command += ["-p", f"embodiment:={arguments.embodiment}"]
    drivers = [sys.executable, __file__, "--drivers", "--embodiment", arguments.embodiment]
    drivers += ["--phase-ms", str(arguments.phase_ms)]
    drivers += ["--joint-state-hz", str(arguments.joint_state_hz)]
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor, listener = EventsExecutor(), Listener()
    executor.add_node(listener)
    children = [subprocess.Popen(each, start_new_session=True) for each in (command, drivers)]
    try:
        spin(executor, 30.0, until=lambda: listener.latency_ms)
        if not listener.latency_ms:
            raise SystemExit("no observation within 30 s; see the messages of camera_sync above")
        spin(executor, SETTLE_S)
        listener.clear()
        began_s, cpu_s = time.monotonic(), [cpu_seconds(child.pid) for child in children]
        spin(executor, arguments.duration)
        elapsed_s = time.monotonic() - began_s
        spent = [cpu_seconds(c.pid) - before for c, before in zip(children, cpu_s, strict=True)]
    finally:
        for child in children:
            child.send_signal(signal.SIGINT)
        for child in children:
            child.wait(timeout=20)
        executor.remove_node(listener)
        listener.destroy_node()
        rclpy.try_shutdown()
    return {
        "bench": "camera_sync",
        "machine": machine(),
        "embodiment": arguments.embodiment,
        "fastdds_profile": bool(os.environ.get(PROFILE_VARIABLE)),
        "cpu_share": round(spent[0] / elapsed_s, 3),
        "cpu_share_target": TARGET_CPU,
        "drivers_cpu_share": round(spent[1] / elapsed_s, 3),
        "sets_per_s": round(len(listener.latency_ms) / elapsed_s, 1),
        "latency_p50_ms": percentile(listener.latency_ms, 50),
        "latency_p95_ms": percentile(listener.latency_ms, 95),
        "skew_p50_ms": percentile(listener.skew_ms, 50),
        "skew_p95_ms": percentile(listener.skew_ms, 95),
    }


def percentile(values: list[float], percent: int) -> float | None:
    if len(values) < 2:
        return None
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 2)


def machine() -> str:
    """Processor, cores and architecture."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embodiment", default="bimanual_trossen")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds measured")
    parser.add_argument(
        "--phase-ms", type=float, default=2.0, help="between one camera and the next"
    )
    parser.add_argument("--joint-state-hz", type=float, default=50.0)
    parser.add_argument("--drivers", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if PROFILE.exists():
        os.environ.setdefault(PROFILE_VARIABLE, str(PROFILE))
    if arguments.drivers:
        rclpy.init()
        embodiment = embodiments.load(arguments.embodiment)
        try:
            Drivers(embodiment, arguments.phase_ms, arguments.joint_state_hz).run()
        except KeyboardInterrupt:
            rclpy.try_shutdown()
        return
    result = measure(arguments)
    print(f"{'machine':<18}{result['machine']}")
    print(f"{'cameras':<18}{arguments.embodiment}, 640x480 rgb8 raw at their rates")
    print(f"{'CPU of one core':<18}{result['cpu_share']:.1%} (at most {TARGET_CPU:.0%})")
    print(f"{'sets per second':<18}{result['sets_per_s']}")
    p50, p95 = result["latency_p50_ms"], result["latency_p95_ms"]
    print(f"{'frame to message':<18}p50 {p50} ms, p95 {p95} ms")
    print(f"{'skew':<18}p50 {result['skew_p50_ms']} ms, p95 {result['skew_p95_ms']} ms")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
