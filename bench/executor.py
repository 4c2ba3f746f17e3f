"""What the chunk executor costs and how late its ticks are.

    python bench/executor.py [--embodiment NAME] [--seconds N] [--load N]

The executor runs as a process of its own at the embodiment's control rate. Another
process is everything else: joint states at their rate, full-size observations at the
chunk rate, a chunk every ``execution_steps``, and the reader of commands and status.
``--load`` adds that many processes that compute without pause, as a policy would.

Stages are timed in this process, one call after the other, with the topics connected.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration, Time
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from pi0_msgs.msg import ActionChunk, ExecutorStatus, Observation
from pi0_ros.embodiment import Embodiment, load
from pi0_ros.nodes.chunk_executor import ChunkExecutor, to_incoming
from pi0_ros.nodes.commands import command_writer
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS, SENSOR_QOS

ROOT = Path(__file__).resolve().parents[1]
WARM_UP_S = 3.0
STAGE_TICKS = 1500


class Surroundings(Node):
    """The robot, camera_sync and the policy, as far as the executor can tell."""

    def __init__(self, robot: Embodiment) -> None:
        super().__init__("surroundings")
        self.robot = robot
        self.statuses: list[ExecutorStatus] = []
        self.commands = 0
        self._sequence = 0
        self._joints = {
            topic: (self.create_publisher(JointState, topic, SENSOR_QOS), message)
            for topic, message in joint_messages(robot).items()
        }
        self._observation = Observation(pixels=array("B", bytes(3 * 224 * 224 * 3)))
        self._observations = self.create_publisher(Observation, "observation", COMMAND_QOS)
        self._chunks = self.create_publisher(ActionChunk, "action_chunk", COMMAND_QOS)
        self.create_subscription(
            ExecutorStatus, "executor_status", self.statuses.append, LATCHED_QOS
        )
        for controller in robot.controllers:
            kind = command_writer(robot, controller).message_type
            self.create_subscription(kind, controller.topic, self._on_command, 10, raw=True)
        rates = robot.rates
        self.create_timer(1.0 / rates.joint_state_hz, self._send_joints)
        self.create_timer(1.0 / rates.chunk_hz, self._send_observation)
        self.create_timer(rates.execution_steps / rates.chunk_hz, self._send_chunk)

    def _on_command(self, _data: bytes) -> None:
        self.commands += 1

    def _send_joints(self) -> None:
        for publisher, message in self._joints.values():
            publisher.publish(message)

    def _send_observation(self) -> None:
        self._observation.header.stamp = self.get_clock().now().to_msg()
        self._observations.publish(self._observation)

    def _send_chunk(self) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self._chunks.publish(chunk_message(self.robot, now_ns, self._sequence))
        self._sequence += 1


def joint_messages(robot: Embodiment) -> dict[str, JointState]:
    """The home pose, once per joint-state topic."""
    home = {d.state: d.home for d in robot.action if d.state}
    messages: dict[str, JointState] = {}
    for dimension in robot.state:
        message = messages.setdefault(dimension.topic, JointState())
        value = home.get(dimension.name, 0.0)
        message.name.append(dimension.joint)
        message.position.append((value - dimension.offset) / dimension.scale)
        message.velocity.append(0.0)
        message.effort.append(0.0)
    return messages


def chunk_message(robot: Embodiment, now_ns: int, sequence: int) -> ActionChunk:
    """A slow wave around the home pose, continuous from chunk to chunk."""
    stamp = Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9)
    rates = robot.rates
    times_s = now_ns % 10**12 * 1e-9 + np.arange(rates.horizon) / rates.chunk_hz
    wave = 0.05 * np.sin(times_s)[:, None] * (robot.limits.upper - robot.limits.lower)
    rows = np.clip(robot.home + wave, robot.limits.lower, robot.limits.upper)
    message = ActionChunk(
        step_duration=Duration(nanosec=round(1e9 / rates.chunk_hz)),
        action_names=list(robot.action_names),
        horizon=rates.horizon,
        data=array("f", rows.astype(np.float32).tobytes()),
        observation_stamp=stamp,
        sequence=sequence,
        source_id="bench",
        embodiment=robot.name,
        checkpoint_id="bench",
    )
    message.header.stamp = stamp
    return message


def measure_process(robot: Embodiment, name: str, seconds: float) -> dict[str, Any]:
    """Run the executor's process for a while; its own lateness figures, CPU from /proc."""
    command = [sys.executable, "-m", "pi0_ros.nodes.chunk_executor"]
    command += ["--ros-args", "-p", f"embodiment:={name}", "--log-level", "warn"]
    sources = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": sources})
    try:
        node, spinner = Surroundings(robot), EventsExecutor()
        spinner.add_node(node)
        spin_for(spinner, 10.0, lambda: bool(node.statuses))
        spin_for(spinner, WARM_UP_S)
        before, commands = (cpu_seconds(child.pid), time.monotonic()), node.commands
        worst = ExecutorStatus()
        first = node.statuses[-1]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            spin_for(spinner, min(10.0, end - time.monotonic()))
            last = node.statuses[-1]
            node.statuses.clear()
            for field in ("lateness_p50_ms", "lateness_p99_ms", "lateness_max_ms"):
                setattr(worst, field, max(getattr(worst, field), getattr(last, field)))
        elapsed = time.monotonic() - before[1]
        share = (cpu_seconds(child.pid) - before[0]) / elapsed
        spinner.remove_node(node)
    finally:
        child.terminate()
        child.wait(timeout=10.0)
    return {
        "ticks": last.ticks - first.ticks,
        "missed_ticks": last.missed_ticks - first.missed_ticks,
        "chunks_executed": last.chunks_executed - first.chunks_executed,
        "chunks_refused": last.chunks_refused - first.chunks_refused,
        "commands_per_s": round((node.commands - commands) / elapsed, 1),
        "lateness_p50_ms": round(worst.lateness_p50_ms, 3),
        "lateness_p99_ms": round(worst.lateness_p99_ms, 3),
        "lateness_max_ms": round(worst.lateness_max_ms, 3),
        "cpu_share": round(share, 4),
        "exit_code": child.returncode,
    }


def spin_for(spinner: Any, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
    """Run callbacks for a time or until done."""
    end = time.monotonic() + seconds
    while not done() and (left := end - time.monotonic()) > 0.0:
        spinner.spin_once(timeout_sec=left)


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_stages(robot: Embodiment, name: str) -> dict[str, float]:
    """Median microseconds of each stage of a tick, and of taking a chunk."""
    node = ChunkExecutor(parameter_overrides=[Parameter("embodiment", value=name)])
    node.trigger_configure()
    core, period_ns = node.core, round(1e9 / robot.rates.control_hz)
    spent: dict[str, list[int]] = {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter_ns()
        result = work()
        spent.setdefault(stage, []).append(time.perf_counter_ns() - begin)
        return result

    joints, now_ns = joint_messages(robot), 10**12
    for k in range(STAGE_TICKS):
        now_ns += period_ns
        for topic, message in joints.items():
            core.joints.heard(topic, now_ns)
            if k == 0:
                core.joints.update(topic, message.name, message.position, (), ())
        core.observe(now_ns, now_ns)
        if k % robot.rates.execution_steps == 0:
            message = chunk_message(robot, now_ns, k)
            incoming = timed("take a chunk: unpack", lambda m=message: to_incoming(m))
            timed("take a chunk: check, lay out", lambda c=incoming, t=now_ns: core.offer(c, t))
        tick = timed("tick: interpolate, limit", lambda t=now_ns: core.tick(t))
        timed("tick: fill and publish commands", lambda t=tick: node._send(t))
        status = timed("tick: fill the status", lambda t=tick: node._status.fill(t, core))
        timed("tick: publish the status", lambda s=status: node._status_publisher.publish(s))
    node.shut_down()
    node.destroy_node()
    return {stage: round(float(np.median(ns)) * 1e-3, 1) for stage, ns in spent.items()}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embodiment", default="bimanual_trossen")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--load", type=int, default=0, help="busy processes beside")
    parser.add_argument(
        "--policy", action="store_true", help="beside, a tiny network samples without pause"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    robot = load(arguments.embodiment)
    machine = f"{platform.node()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"chunk_executor, {robot.name}: {len(robot.action)} actions at "
          f"{robot.rates.control_hz:g} Hz, on {machine}")  # fmt: skip
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**6))"])
        for _ in range(arguments.load)
    ]
    if arguments.policy:
        sampling = [sys.executable, str(ROOT / "bench" / "sampling.py"), "--repeats", "1000000"]
        busy.append(subprocess.Popen(sampling, stdout=subprocess.DEVNULL))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        result = measure_process(robot, arguments.embodiment, arguments.seconds)
        stages = measure_stages(robot, arguments.embodiment)
    finally:
        for process in busy:
            process.kill()
        rclpy.try_shutdown()
    for key, value in result.items():
        print(f"  {key:32s} {value:>10}")
    for stage, microseconds in stages.items():
        print(f"  {stage:32s} {microseconds:>10} us")
    summary = {"bench": "executor", "machine": machine, "embodiment": robot.name}
    summary |= {"seconds": arguments.seconds, "load": arguments.load, "policy": arguments.policy}
    summary |= {**result, "us": stages}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
