"""Runs the suite on a simulated robot for minutes to find faults that appear only over time.

    python bench/soak.py [--minutes 10] [--embodiment bimanual_trossen] [--hardware mujoco]

The graph of ``pi0 up`` runs in a ROS domain of its own, driven by a checkpoint (an untrained
tiny one unless --checkpoint names another). Every ExecutorStatus and every controller
command is received. Exit code 1 if a limit was exceeded in the emitted stream, a command
was sent that matches no status, a process died, or, in three minutes and more, the memory
of a process grew by more than --growth-mib from the first minute to the last.

Velocity, acceleration and jerk are finite differences of the commands of successive ticks.
With mujoco the ticks follow /clock: lateness is then in steps of that clock. With mock they
follow the steady clock, as on a real robot.
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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from _soak_watch import Memory, Watch, children
from rclpy.experimental import EventsExecutor
from rclpy.signals import SignalHandlerOptions

from pi0_bringup.private_graph import Log, private_domain
from pi0_ros.embodiment import Embodiment, load
from pi0_ros.graph.declaration import Process, declare
from pi0_ros.graph.options import GraphOptions
from pi0_ros.graph.supervisor import Supervisor

START_S = 120.0
SLICE_S = 0.2
PROGRESS_S = 30.0
#: A shorter run reports the growth of memory without a check, because caches still fill.
SHORTEST_S = 180.0
#: Scales the mock robot's 640x480 to the width of the model's view.
CAMERA_SCALE = 0.35


class Soak:
    """One run: the supervised graph and the node that watches it."""

    def __init__(self, robot: Embodiment, graph: Supervisor, names: tuple[str, ...]) -> None:
        self.watch = Watch(robot)
        self.memory = Memory()
        self.elapsed_s = 0.0
        self.ticks_per_s = 0.0
        self._graph = graph
        self._names = names
        self._spinner = EventsExecutor()
        self._spinner.add_node(self.watch)

    def run(self, seconds: float) -> str | None:
        """Wait until the robot moves, then run for this time; returns why it ended early."""
        moving = lambda: self.watch.states.get("EXECUTING", 0) > 0  # noqa: E731
        problem = self._spin(START_S, moving)
        if problem is not None:
            return problem
        if not moving():
            return f"nothing was executed within {START_S:g} s"
        self.memory = Memory()  # memory allocated at start-up is not growth
        self.watch.begin()
        began_s = time.monotonic()
        problem = self._spin(seconds)
        self.elapsed_s = time.monotonic() - began_s
        first, last = self.watch.first, self.watch.last
        if first is not None and last is not None:
            self.ticks_per_s = (last.ticks - first.ticks) / self.elapsed_s
        return problem

    def settle(self) -> None:
        """Receive the last messages, after the graph has stopped."""
        self._spin_once(1.0)
        self.watch.match()

    def close(self) -> None:
        self._spinner.remove_node(self.watch)
        self.watch.destroy_node()

    def _spin(self, seconds: float, done: Callable[[], bool] = lambda: False) -> str | None:
        end_s = time.monotonic() + seconds
        told_s = sampled_s = time.monotonic()
        while (now_s := time.monotonic()) < end_s and not done():
            self._spin_once(min(SLICE_S, end_s - now_s))
            self._graph.step(0.0)
            if self._graph.failure is not None:
                return self._graph.failure
            if self._graph.stop_requested:
                raise KeyboardInterrupt
            if now_s - sampled_s >= 1.0:
                sampled_s = now_s
                self.memory.sample(now_s, children(self._names))
            if now_s - told_s >= PROGRESS_S:
                told_s = now_s
                print(f"  {end_s - now_s:5.0f} s left, {self.watch.audit.ticks} ticks", flush=True)
        return None

    def _spin_once(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._spinner.spin_once(timeout_sec=left_s)


def processes(robot: Embodiment, hardware: str, checkpoint: Path) -> tuple[Process, ...]:
    """The graph of ``pi0 up``; the mock's frames have the width of the model's view."""
    options = GraphOptions(
        embodiment=str(robot.path),
        hardware=hardware,
        checkpoint=str(checkpoint),
        prompt="transfer the cube to the other arm",
        threads=1,
    )
    return tuple(
        replace(p, parameters={**p.parameters, "camera_scale": CAMERA_SCALE})
        if p.name == "mock_robot"
        else p
        for p in declare(options)
    )


def soak(arguments: argparse.Namespace, robot: Embodiment, folder: Path) -> dict[str, Any]:
    """Run the graph and return the figures, with ``problems`` that make the run fail."""
    checkpoint = arguments.checkpoint or untrained(robot, folder)
    with private_domain() as environment, Log(folder / "log.txt") as log:
        os.environ.update(environment)
        graph = processes(robot, arguments.hardware, checkpoint)
        os.environ.update(graph[0].environment)
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        try:
            with Supervisor(graph, log) as supervisor:
                run = Soak(robot, supervisor, tuple(p.name for p in graph))
                supervisor.start()
                problem = run.run(arguments.minutes * 60.0)
            run.settle()
            result = figures(run, robot)
            problems = [problem] if problem else []
            problems += [*supervisor.unclean, *failures(result, arguments.growth_mib)]
            if problem or supervisor.unclean:
                print(log.tail())
            run.close()
        finally:
            rclpy.try_shutdown()
    return result | {"problems": problems}


def untrained(robot: Embodiment, folder: Path) -> Path:
    """A tiny checkpoint, made in a separate process, so that this one does not load torch."""
    path = folder / "checkpoint"
    words = ["checkpoint", "create", str(robot.path), "--out", str(path)]
    subprocess.run(
        [sys.executable, "-m", "pi0_ros.cli.main", *words], check=True, stdout=subprocess.DEVNULL
    )
    return path


def figures(run: Soak, robot: Embodiment) -> dict[str, Any]:
    """Everything that was counted and measured."""
    watch, audit = run.watch, run.watch.audit
    first, last = watch.first, watch.last
    late = np.array(watch.lateness_ms or [(0.0, 0.0, 0.0)])
    violations = {f"{kind} {robot.action_names[k]}": n for (kind, k), n in audit.violations.items()}
    return {
        "seconds": round(run.elapsed_s, 1),
        "states": watch.states,
        "ticks": last.ticks if last else 0,
        "ticks_per_s": round(run.ticks_per_s, 1),
        "ticks_audited": audit.ticks,
        "ticks_not_received": audit.missing,
        "begun_anew": watch.restarts,
        "missed_ticks": last.missed_ticks - first.missed_ticks if first and last else 0,
        "limit_violations": sum(audit.violations.values()),
        "violations": violations,
        "share_of_limit": {
            kind: round(float(worst.max()), 4)
            for kind, worst in zip(("pos", "vel", "acc", "jerk"), audit.worst, strict=True)
        },
        "underruns": last.underruns if last else 0,
        "chunks_executed": last.chunks_executed if last else 0,
        "chunks_refused": last.chunks_refused if last else 0,
        "last_refusal": last.last_refusal if last else "",
        "lateness_p50_ms": round(float(np.median(late[:, 0])), 3),
        "lateness_p99_ms": round(float(late[:, 1].max()), 3),
        "lateness_max_ms": round(float(late[:, 2].max()), 3),
        "commands": {name: stream.received for name, stream in watch.commands.items()},
        "commands_of_no_tick": sum(stream.unmatched for stream in watch.commands.values()),
        "memory": run.memory.summary(),
    }


def failures(result: dict[str, Any], growth_mib: float) -> list[str]:
    """Reasons why the run fails."""
    found = [f"{n} ticks over the limit of {what}" for what, n in result["violations"].items()]
    # A lost status leaves one command of each controller without a match.
    excused = result["ticks_not_received"] * len(result["commands"])
    if result["commands_of_no_tick"] > excused:
        found.append(f"{result['commands_of_no_tick']} commands that no status knows of")
    for name, memory in result["memory"].items():
        if result["seconds"] < SHORTEST_S:
            break
        growth = memory["last_mib"] - memory["first_mib"]
        if growth > growth_mib:
            found.append(f"{name} grew by {growth:.1f} MiB (allowed: {growth_mib:g})")
    return found


def table(result: dict[str, Any]) -> str:
    """The figures as a table, with separate rows for memory."""
    lines = []
    for key, value in result.items():
        if key in ("memory", "problems", "violations"):
            continue
        words = [f"{k} {n}" for k, n in value.items()] if isinstance(value, dict) else [str(value)]
        lines.append(f"  {key:24s} {'  '.join(words)}")
    lines.append(f"  {'memory [MiB]':24s} {'first':>8s} {'last':>8s} {'per min':>8s}")
    for name, memory in result["memory"].items():
        first, last, slope = memory.values()
        lines.append(f"    {name:22s} {first:8.1f} {last:8.1f} {slope:8.2f}")
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--embodiment", default="bimanual_trossen")
    parser.add_argument("--hardware", choices=("mujoco", "mock"), default="mujoco")
    parser.add_argument("--checkpoint", type=Path, help="instead of an untrained tiny one")
    parser.add_argument(
        "--growth-mib", type=float, default=30.0, help="of one process (default: %(default)g)"
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    robot = load(arguments.embodiment)
    machine = f"{platform.node()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"soak, {robot.name} ({arguments.hardware}), {arguments.minutes:g} min, on {machine}")
    with tempfile.TemporaryDirectory() as folder:
        result = soak(arguments, robot, Path(folder))
    print(table(result))
    for problem in result["problems"]:
        print(f"FAILED: {problem}")
    summary = {"bench": "soak", "machine": machine, "embodiment": robot.name}
    print(json.dumps({**summary, "hardware": arguments.hardware, **result}))
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
