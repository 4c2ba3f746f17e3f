"""Measures lost messages, processor time, memory and disk use of the recorder.

Separate processes publish every camera of an embodiment, its joint states and its commands, like
drivers, and note the stamps. The recorder writes one episode, and its bag is compared with these
stamps. Prints a table per joint-state rate and, last, one line of JSON. ``--stop-for`` suspends
the recorder for a time during the episode.

    python bench/recording.py --seconds 300
    python bench/recording.py --seconds 7 --joint-hz 500 --stop-for 0.4
"""

from __future__ import annotations

import argparse
import array
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import Image, JointState

from pi0_msgs.msg import RecorderStatus
from pi0_msgs.srv import StartEpisode, StopEpisode
from pi0_ros import embodiment as embodiments
from pi0_ros.messages import message_class
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS
from pi0_ros.recording.read import read_episode

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "pi0_bringup" / "config" / "fastdds.xml"
PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
STAMP = struct.Struct("<4xiI")
CATCH_UP_S = 0.1


class Publisher(Node):
    """One part of the robot: a camera, ``joints`` or ``commands``; notes every stamp."""

    def __init__(self, part: str, embodiment: str, joint_hz: float) -> None:
        super().__init__(f"bench_{part}")
        robot = embodiments.load(embodiment)
        self.stamps: dict[str, list[int]] = {}
        self._due: list[list[Any]] = []
        start_s = time.monotonic() + 0.1
        if part == "joints":
            for topic in dict.fromkeys(d.topic for d in robot.state):
                names = [d.joint for d in robot.state if d.topic == topic]
                state = JointState(name=names, position=[0.03] * len(names))
                state.velocity = state.effort = [0.0] * len(names)
                self._add(start_s, joint_hz, JointState, topic, SENSOR_QOS, state, [])
        elif part == "commands":
            for controller in robot.controllers:
                kind = message_class(controller.message_type)
                rate_hz = robot.rates.control_hz
                self._add(start_s, rate_hz, kind, controller.topic, COMMAND_QOS, kind(), [])
        else:
            (camera,) = (camera for camera in robot.cameras if camera.name == part)
            noise = [array.array("B", os.urandom(480 * 1920)) for _ in range(4)]
            frame = Image(height=480, width=640, encoding="rgb8", step=1920)
            self._add(start_s, camera.rate_hz, Image, camera.topic, SENSOR_QOS, frame, noise)

    def _add(self, start_s: float, rate_hz: float, kind: Any, topic: str, *rest: Any) -> None:
        qos, message, pictures = rest
        publisher = self.create_publisher(kind, topic, qos)
        self.stamps[publisher.topic_name] = []
        self._due.append([start_s, 1.0 / rate_hz, publisher, message, pictures])

    def run(self) -> None:
        """Publish at absolute deadlines until interrupted.

        If this process was suspended for more than :data:`CATCH_UP_S`, it skips the messages that
        were due, like a driver.
        """
        while True:
            entry = min(self._due, key=lambda due: due[0])
            time.sleep(max(0.0, entry[0] - time.monotonic()))
            _, period_s, publisher, message, pictures = entry
            entry[0] += period_s
            if entry[0] < time.monotonic() - CATCH_UP_S:
                entry[0] = time.monotonic()
            stamps = self.stamps[publisher.topic_name]
            now_ns = time.time_ns()
            if pictures:
                message.data = pictures[len(stamps) % len(pictures)]
            if hasattr(message, "header"):
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
            publisher.publish(message)
            stamps.append(now_ns)


class Recorder:
    """The recorder's process, and its services."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        command = [sys.executable, "-m", "pi0_ros.nodes.recorder.node", "--ros-args"]
        command += ["-p", f"embodiment:={arguments.embodiment}", "-p", f"directory:={directory}"]
        self.process = subprocess.Popen(command, start_new_session=True)
        self.node = Node("bench_operator")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.status: Any = None
        self.node.create_subscription(
            RecorderStatus, "recorder/status", lambda s: setattr(self, "status", s), LATCHED_QOS
        )

    def spin(self, seconds: float, until: Any = None) -> None:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s and not (until and until()):
            self.executor.spin_once(timeout_sec=0.1)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.node.create_client(kind, f"recorder/{name}")
        if not client.wait_for_service(20.0):
            raise SystemExit(f"no service recorder/{name}; see the recorder's messages above")
        asked = client.call_async(request)
        self.spin(120.0, asked.done)
        answer = asked.result() if asked.done() else None
        if answer is None or not (answer.success or getattr(answer, "path", "")):
            raise SystemExit(answer.message if answer else f"no answer to {name}")
        return answer

    def stop_for(self, seconds: float) -> None:
        """Suspend the process for this time."""
        if seconds > 0.0:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.process.send_signal(signal.SIGCONT)

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """Peak memory of the process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return float("nan")


def measure(arguments: argparse.Namespace, joint_hz: float) -> dict[str, Any]:
    """Record one episode and compare it with its publishers."""
    directory = Path(tempfile.mkdtemp(prefix="pi0_bench_", dir=arguments.directory))
    cameras = [camera.name for camera in embodiments.load(arguments.embodiment).cameras]
    parts = (*cameras, "joints", "commands")
    words = [sys.executable, __file__, "--embodiment", arguments.embodiment]
    words += ["--joint-hz", str(joint_hz)]
    publishers = [
        subprocess.Popen(
            [*words, "--publish", part, "--stamps", str(directory / f"{part}.json")],
            start_new_session=True,
        )
        for part in parts
    ]
    recorder = Recorder(arguments, directory / "bags")
    try:
        recorder.spin(60.0, lambda: recorder.status and recorder.status.ready)
        request = StartEpisode.Request(task="bench")
        recorder.call(StartEpisode, "start_episode", request)
        began_s, cpu_s = time.monotonic(), recorder.cpu_s()
        recorder.spin(arguments.seconds / 2)
        recorder.stop_for(arguments.stop_for)
        recorder.spin(began_s + arguments.seconds - time.monotonic())
        elapsed_s, cpu_s = time.monotonic() - began_s, recorder.cpu_s() - cpu_s
        path = Path(recorder.call(StopEpisode, "stop_episode", StopEpisode.Request()).path)
        peak_mb = recorder.peak_mb()
    finally:
        for child in (*publishers, recorder.process):
            child.send_signal(signal.SIGINT)
        for child in (*publishers, recorder.process):
            child.wait(timeout=30)
        recorder.node.destroy_node()
    published: dict[str, list[int]] = {}
    for part in parts:
        published.update(json.loads((directory / f"{part}.json").read_text()))
    result = {
        "joint_hz": joint_hz,
        "seconds": round(elapsed_s, 1),
        "cpu_share": round(cpu_s / elapsed_s, 3),
        "peak_memory_mb": round(peak_mb),
        "gb_per_hour": round(size(path) / elapsed_s * 3600 / 1e9, 1),
        "mb_per_s": round(size(path) / elapsed_s / 1e6, 1),
        "topics": count(path, published),
    }
    if not arguments.keep:
        shutil.rmtree(directory)
    return result


def count(path: Path, published: dict[str, list[int]]) -> dict[str, dict[str, int]]:
    """Per topic: published between the first and the last message in the bag, and written."""
    stamps: dict[str, list[int]] = {}
    with Reader(path) as reader:
        for connection, _, data in reader.messages():
            if connection.msgtype in ("sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"):
                sec, nanosec = STAMP.unpack_from(data)
                stamps.setdefault(connection.topic, []).append(sec * 10**9 + nanosec)
    counted = {}
    for topic in read_episode(path).topics:
        seen = sorted(stamps.get(topic.name, ()))
        sent = published.get(topic.name)
        if sent is None:
            continue
        # Commands have no stamp, so the publisher's own numbers identify them.
        between = [t for t in sent if seen and seen[0] <= t <= seen[-1]]
        counted[topic.name] = {
            "published": len(between) if seen else topic.received + topic.missed,
            "written": topic.written,
            "lost": topic.lost,
            "missed": topic.missed,
        }
    return counted


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


def show(result: dict[str, Any]) -> None:
    print(f"\njoint states at {result['joint_hz']:g} Hz, {result['seconds']} s")
    print(f"{'topic':<56}{'published':>10}{'written':>10}{'lost':>6}{'missed':>8}")
    for topic, row in result["topics"].items():
        print(f"{topic:<56}{row['published']:>10}{row['written']:>10}{row['lost']:>6}", end="")
        print(f"{row['missed']:>8}")
    print(f"CPU of one core {result['cpu_share']:.1%}, peak memory {result['peak_memory_mb']} MB")
    print(f"{result['mb_per_s']} MB/s, {result['gb_per_hour']} GB per hour")


def publish(arguments: argparse.Namespace) -> None:
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    publisher = Publisher(arguments.publish, arguments.embodiment, arguments.joint_hz[0])
    # Children of a shell that runs this in the background would ignore the interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        publisher.run()
    except KeyboardInterrupt:
        Path(arguments.stamps).write_text(json.dumps(publisher.stamps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embodiment", default="bimanual_trossen")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--joint-hz", type=float, nargs="+", default=[50.0, 500.0])
    parser.add_argument("--stop-for", type=float, default=0.0, metavar="S")
    parser.add_argument("--directory", default=None, help="where the bags go (default: /tmp)")
    parser.add_argument("--keep", action="store_true", help="keep the bags")
    parser.add_argument("--publish", help=argparse.SUPPRESS)
    parser.add_argument("--stamps", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish(arguments)
        return
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if PROFILE.exists():
        os.environ.setdefault(PROFILE_VARIABLE, str(PROFILE))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    results = []
    for joint_hz in arguments.joint_hz:
        results.append(measure(arguments, joint_hz))
        show(results[-1])
    lost = sum(row["published"] - row["written"] for r in results for row in r["topics"].values())
    print(json.dumps({"bench": "recording", "messages_lost": lost, "runs": results}))
    rclpy.try_shutdown()
    raise SystemExit(int(lost > 0))


if __name__ == "__main__":
    main()
