"""Measures lateness and cost of the chunk executor's ticks, and of a timer for comparison.

    python bench/control.py [--seconds 30] [--embodiments bimanual_trossen mobile_fibocom]

For each robot the executor runs as a separate process at the control rate. A second process
simulates the nodes around it at full rate and size, and a third one is a policy that samples
continuously. Then the same node runs with its tick on a timer of a plain rclpy.spin. The executor
measures its own lateness over windows of 10 s: the median window's
median, the worst window's 99th percentile and maximum.

Stages are timed in this process, one call after the other, with the topics connected.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from _surroundings import Surroundings, chunk_message, joint_messages
from rclpy.experimental import EventsExecutor
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions

from pi0_ros.embodiment import Embodiment, load
from pi0_ros.nodes.chunk_executor.inputs import to_incoming
from pi0_ros.nodes.chunk_executor.node import ChunkExecutor

ROOT = Path(__file__).resolve().parents[1]
WINDOW_S = 10.0
WARM_UP_S = WINDOW_S + 1.0  # so that no window reaches back to the start
TIMER_S = 60.0
STAGE_TICKS = 1500
STAGES = (
    "chunk: unpack",
    "chunk: check, lay out",
    "joint states: unpack, once a second",
    "tick: decide, interpolate, limit",
    "  of it: interpolate",
    "  of it: limit",
    "tick: fill the commands",
    "tick: publish the commands",
    "tick: fill the status",
    "tick: publish the status",
)


def measure_loop(robot: Embodiment, command: list[str], seconds: float) -> dict[str, Any]:
    """Run an executor process. Lateness is its own measurement, CPU time is from /proc."""
    command = [sys.executable, *command, "--ros-args"]
    command += ["-p", f"embodiment:={robot.path}", "--log-level", "error"]
    sources = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": sources})
    try:
        node, spinner = Surroundings(robot), EventsExecutor()
        spinner.add_node(node)
        spin_for(spinner, 20.0, lambda: bool(node.statuses))
        spin_for(spinner, WARM_UP_S)
        first, windows = node.statuses[-1], []
        begin, cpu_before, commands = time.monotonic(), cpu_seconds(child.pid), node.commands
        while (left := begin + seconds - time.monotonic()) > 0.0:
            node.statuses.clear()
            spin_for(spinner, min(WINDOW_S, left))
            last = node.statuses[-1]
            windows.append((last.lateness_p50_ms, last.lateness_p99_ms, last.lateness_max_ms))
        elapsed = time.monotonic() - begin
        share = (cpu_seconds(child.pid) - cpu_before) / elapsed
        spinner.remove_node(node)
        node.destroy_node()
    finally:
        child.terminate()
        child.wait(timeout=10.0)
    p50, p99, worst = np.array(windows).T
    return {
        "ticks": last.ticks - first.ticks,
        "missed_ticks": last.missed_ticks - first.missed_ticks,
        "lateness_p50_ms": round(float(np.median(p50)), 3),
        "lateness_p99_ms": round(float(p99.max()), 3),
        "lateness_max_ms": round(float(worst.max()), 3),
        "cpu_share": round(share, 4),
        "commands_per_s": round((node.commands - commands) / elapsed, 1),
        "chunks_refused": last.chunks_refused - first.chunks_refused,
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


class Stages:
    """Drives an executor node by hand and times the parts of its ticks."""

    def __init__(self, robot: Embodiment) -> None:
        self.robot = robot
        self._node = ChunkExecutor(
            parameter_overrides=[Parameter("embodiment", value=str(robot.path))]
        )
        self._node.trigger_configure()
        self._joints = {t: serialize_message(m) for t, m in joint_messages(robot).items()}
        self._now_ns = 10**12
        self._spent: dict[str, list[int]] = {stage: [] for stage in STAGES}

    def measure(self) -> dict[str, float]:
        """Median microseconds of each stage, and kilobytes that a tick allocates at most."""
        for k in range(STAGE_TICKS):
            self._step(k, self._timed)
        result = {
            stage: round(float(np.median(spent)) * 1e-3, 1) for stage, spent in self._spent.items()
        }
        result["tick: allocated, KiB"] = round(self._allocated(), 1)
        self._node.shut_down()
        self._node.destroy_node()
        return result

    def _timed(self, stage: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter_ns()
        result = work()
        self._spent[stage].append(time.perf_counter_ns() - begin)
        return result

    def _step(self, k: int, timed: Callable[[str, Callable[[], Any]], Any]) -> None:
        node, core = self._node, self._node.core
        self._now_ns = now_ns = self._now_ns + round(1e9 / self.robot.rates.control_hz)
        for topic, data in self._joints.items():
            node._joint_bytes[topic] = data
            core.joints.heard(topic, now_ns)
        timed("joint states: unpack, once a second", node._unpack_joints)
        core.observe(now_ns, now_ns)
        if k % self.robot.rates.execution_steps == 0:
            message = chunk_message(self.robot, now_ns, k)
            incoming = timed("chunk: unpack", lambda: to_incoming(message))
            timed("chunk: check, lay out", lambda: core.offer(incoming, now_ns))
        tick = timed("tick: decide, interpolate, limit", lambda: core.tick(now_ns))
        if core.driver is not None and core.commanded is not None:
            driver, limiter = core.driver, copy.deepcopy(core.commanded._limiter)
            motion = timed("  of it: interpolate", lambda: driver.setpoint(now_ns))
            timed("  of it: limit", lambda: limiter.track(*motion))
        outputs = node.outputs.by_controller
        messages = timed(
            "tick: fill the commands",
            lambda: [output.writer.fill(tick.command, tick.tangent, now_ns) for output in outputs],
        )
        timed(
            "tick: publish the commands",
            lambda: [o.publisher.publish(m) for o, m in zip(outputs, messages, strict=True)],
        )
        status = timed("tick: fill the status", lambda: node._status.fill(tick, core))
        timed("tick: publish the status", lambda: node._status_publisher.publish(status))

    def _allocated(self) -> float:
        """Peak allocation during one tick [KiB], the largest of 50 ticks."""
        worst = 0
        tracemalloc.start()
        for k in range(STAGE_TICKS, STAGE_TICKS + 50):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            self._step(k, lambda _stage, work: work())
            worst = max(worst, tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.stop()
        return worst / 1024.0


def measure(name: str, seconds: float) -> dict[str, Any]:
    """Measure one robot and print the results."""
    robot = load(name)
    print(f"\n{robot.name}: {len(robot.action)} dimensions at {robot.rates.control_hz:g} Hz")
    loops = {
        "a thread of its own": (["-m", "pi0_ros.nodes.chunk_executor.node"], seconds),
        "a timer of rclpy.spin": ([str(ROOT / "bench/_timer_executor.py")], min(seconds, TIMER_S)),
    }
    result: dict[str, Any] = {"dimensions": len(robot.action)}
    print(f"  {'tick in':24s} {'ticks':>7s} {'missed':>7s} {'p50 ms':>8s} {'p99 ms':>8s}"
          f" {'max ms':>8s} {'core':>7s}")  # fmt: skip
    for loop, (command, length) in loops.items():
        figures = result[loop] = measure_loop(robot, command, length)
        print(f"  {loop:24s} {figures['ticks']:7d} {figures['missed_ticks']:7d}"
              f" {figures['lateness_p50_ms']:8.3f} {figures['lateness_p99_ms']:8.3f}"
              f" {figures['lateness_max_ms']:8.3f} {figures['cpu_share']:7.1%}")  # fmt: skip
    result["us"] = Stages(robot).measure()
    for stage, value in result["us"].items():
        print(f"  {stage:38s} {value:>8}" + ("" if "KiB" in stage else " us"))
    return result


def main() -> None:
    """Measures, prints tables, ends with one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each robot (default 30)")
    parser.add_argument("--embodiments", nargs="+", default=["bimanual_trossen", "mobile_fibocom"])
    parser.add_argument("--idle", action="store_true", help="no policy samples beside")
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    machine = f"{platform.node()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"chunk_executor on {machine}")
    busy = []
    if not arguments.idle:
        sampling = [sys.executable, str(ROOT / "bench" / "sampling.py"), "--repeats", "1000000"]
        busy.append(subprocess.Popen(sampling, stdout=subprocess.DEVNULL))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    summary: dict[str, Any] = {"bench": "control", "machine": machine}
    summary |= {"seconds": arguments.seconds, "policy": not arguments.idle}
    try:
        for name in arguments.embodiments:
            summary[name] = measure(name, arguments.seconds)
    finally:
        for process in busy:
            process.kill()
        rclpy.try_shutdown()
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
