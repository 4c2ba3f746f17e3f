"""Measures the effect of a checkpoint swap on a robot in motion.

    python bench/checkpoint_swap.py [--embodiment ur5e] [--size middle] [--swaps 5] [--load N]

Mock robot, camera_sync, policy and chunk_executor run as separate processes. The same
figures are measured while the policy only infers, and while it loads the other one of two
untrained checkpoints and switches to it: ticks missed and holds of the executor, duration
of inferences, and how long a callback of the policy waits (a ping of its get_parameters
service). ``--load`` adds that number of processes that compute continuously.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from pi0_msgs.msg import ActionChunk, ExecutorStatus
from pi0_msgs.srv import LoadCheckpoint
from pi0_ros.checkpoint import create_untrained, load_manifest, save
from pi0_ros.embodiment import load
from pi0_ros.model import GemmaConfig, VisionConfig, random_pi0
from pi0_ros.nodes.managed import COMMAND_QOS, LATCHED_QOS

ROOT = Path(__file__).resolve().parents[1]
PING_S = 0.02
BETWEEN_SWAPS_S = 3.0
START_S = 120.0


@dataclass(slots=True)
class Phase:
    """Measurements while the policy only infers, or also loads a checkpoint."""

    seconds: float = 0.0
    missed_ticks: int = 0
    underruns: int = 0
    inference_ms: list[float] = field(default_factory=list)
    ping_ms: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Counts, and quantiles of the durations."""
        figures: dict[str, Any] = {
            "seconds": round(self.seconds, 1),
            "missed_ticks": self.missed_ticks,
            "underruns": self.underruns,
            "chunks": len(self.inference_ms),
        }
        for name, values in (("inference", self.inference_ms), ("ping", self.ping_ms)):
            for key, share in (("p50", 50), ("p95", 95), ("max", 100)):
                found = round(float(np.percentile(values, share)), 1) if values else None
                figures[f"{name}_{key}_ms"] = found
        return figures


class Observer(Node):
    """Subscribes to chunks and status, pings the policy, requests swaps."""

    def __init__(self) -> None:
        super().__init__("observer")
        self.phase = Phase()
        self.chunks: list[tuple[int, str]] = []
        self.status: ExecutorStatus | None = None
        self.create_subscription(ActionChunk, "action_chunk", self._on_chunk, COMMAND_QOS)
        self.create_subscription(ExecutorStatus, "executor_status", self._on_status, LATCHED_QOS)
        self.swap = self.create_client(LoadCheckpoint, "policy/load_checkpoint")
        self._policy = self.create_client(GetParameters, "policy/get_parameters")
        self._pinged_s: float | None = None
        self.create_timer(PING_S, self._ping)

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self.chunks.append((chunk.sequence, chunk.checkpoint_id))
        self.phase.inference_ms.append(chunk.stage_ms[-1])

    def _on_status(self, status: ExecutorStatus) -> None:
        before, self.status = self.status, status
        if before is not None:
            self.phase.missed_ticks += status.missed_ticks - before.missed_ticks
            self.phase.underruns += status.underruns - before.underruns

    def _ping(self) -> None:
        if self._pinged_s is not None or not self._policy.service_is_ready():
            return
        self._pinged_s = began_s = time.monotonic()
        phase = self.phase

        def answered(_: Any) -> None:
            phase.ping_ms.append(1e3 * (time.monotonic() - began_s))
            self._pinged_s = None

        request = GetParameters.Request(names=["prompt"])
        self._policy.call_async(request).add_done_callback(answered)


def spin(executor: EventsExecutor, seconds: float, done: Callable[[], object]) -> bool:
    """Run callbacks for a time or until done; returns whether it was done."""
    end = time.monotonic() + seconds
    while not done() and (left := end - time.monotonic()) > 0.0:
        executor.spin_once(timeout_sec=min(left, 0.1))
    return bool(done())


def measure(
    executor: EventsExecutor, observer: Observer, paths: list[Path], swaps: int
) -> dict[str, Any]:
    """Alternate phases without and with a swap; return the figures of both."""
    if not spin(executor, START_S, lambda: len(observer.chunks) > 5):
        raise SystemExit("no chunks: see the log of the processes above")
    serving, loading, load_s = Phase(), Phase(), []
    for turn in range(swaps):
        with _entered(observer, serving):
            spin(executor, BETWEEN_SWAPS_S, lambda: False)
        request = LoadCheckpoint.Request(path=str(paths[(turn + 1) % 2]))
        with _entered(observer, loading):
            answer = observer.swap.call_async(request)
            spin(executor, START_S, answer.done)
            # Until the executor follows the first chunk of the new checkpoint.
            count = len(observer.chunks)
            spin(executor, START_S, lambda seen=count: len(observer.chunks) > seen + 1)
        if not answer.done() or not answer.result().success:
            raise SystemExit(f"the swap failed: {answer.result() if answer.done() else 'silence'}")
        load_s.append(round(answer.result().load_s, 2))
    sequences = [sequence for sequence, _ in observer.chunks]
    return {
        "serving": serving.summary(),
        "loading": loading.summary(),
        "load_s": load_s,
        "gaps_in_sequence": int((np.diff(sequences) != 1).sum()),
        "checkpoints_seen": len({checkpoint for _, checkpoint in observer.chunks}),
    }


@contextmanager
def _entered(observer: Observer, phase: Phase) -> Iterator[None]:
    observer.phase = phase
    began_s = time.monotonic()
    yield
    phase.seconds += time.monotonic() - began_s


def make_checkpoints(root: Path, name: str, size: str) -> list[Path]:
    """Two untrained checkpoints for the embodiment."""
    robot, paths = load(name), [root / "one", root / "other"]
    for seed, path in enumerate(paths):
        create_untrained(path, robot, seed=seed)
        if size == "middle":
            _enlarge(path, seed)
    return paths


def _enlarge(path: Path, seed: int) -> None:
    """Give a checkpoint a network of about 190 M parameters, as much as 0.75 GB."""
    manifest = load_manifest(path)
    stack = {"depth": 8, "heads": 8, "kv_heads": 1, "head_dim": 64}
    config = replace(
        manifest.model,
        vision=VisionConfig(width=384, depth=6, mlp=1536, heads=6),
        backbone=GemmaConfig(width=512, mlp=2048, **stack),
        expert=GemmaConfig(width=256, mlp=1024, **stack),
        vocab=257152,
    )
    tokenizer = (path / manifest.tokenizer).read_bytes()
    save(path, random_pi0(config, seed), replace(manifest, model=config), tokenizer)


def start(name: str, checkpoint: Path, threads: int) -> list[subprocess.Popen[bytes]]:
    """Start the robot and the nodes of the suite as processes."""
    common = ["embodiment:=" + name]
    policy = [f"checkpoint:={checkpoint}", "prompt:=fold the towel", f"threads:={threads}"]
    sources = os.pathsep.join(
        [str(ROOT), str(ROOT / "pi0_bringup"), os.environ.get("PYTHONPATH", "")]
    )
    profile = ROOT / "pi0_bringup" / "config" / "fastdds.xml"
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(profile)
    children = []
    for module, parameters in (
        ("pi0_bringup.mock_robot", []),
        ("pi0_ros.nodes.camera_sync", []),
        ("pi0_ros.nodes.chunk_executor.node", []),
        ("pi0_ros.nodes.policy.node", policy),
    ):
        command = [sys.executable, "-m", module, "--ros-args", "--log-level", "error"]
        for parameter in common + parameters:
            command += ["-p", parameter]
        children.append(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": sources}))
    return children


def stop(children: list[subprocess.Popen[bytes]]) -> None:
    """End the processes, last first."""
    for child in reversed(children):
        child.terminate()
    for child in children:
        try:
            child.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            child.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embodiment", default="ur5e")
    parser.add_argument("--size", choices=("tiny", "middle"), default="middle")
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of the policy's torch")
    parser.add_argument("--load", type=int, default=0, help="busy processes beside")
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**6))"])
        for _ in range(arguments.load)
    ]
    with tempfile.TemporaryDirectory() as folder:
        paths = make_checkpoints(Path(folder), arguments.embodiment, arguments.size)
        children = start(arguments.embodiment, paths[0], arguments.threads)
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        try:
            executor, observer = EventsExecutor(), Observer()
            executor.add_node(observer)
            result = measure(executor, observer, paths, arguments.swaps)
            executor.remove_node(observer)
            observer.destroy_node()
        finally:
            stop(children)
            for process in busy:
                process.kill()
            rclpy.try_shutdown()
    print(f"{'':16s} {'serving':>10} {'loading':>10}")
    for key, value in result["serving"].items():
        print(f"{key:16s} {value!s:>10} {result['loading'][key]!s:>10}")
    machine = f"{platform.node()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(json.dumps({"bench": "checkpoint_swap", "machine": machine, **vars(arguments), **result}))


if __name__ == "__main__":
    main()
