"""Start the graph, observe it for a while, stop it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pi0_bringup.demo.progress import state_line
from pi0_bringup.demo.recording import Recording
from pi0_bringup.private_graph import GraphRunError, PrivateGraph, private_graph
from pi0_ros.embodiment import Embodiment
from pi0_ros.graph.declaration import Process, declare
from pi0_ros.graph.options import GraphOptions
from pi0_ros.system.terminal import TerminalLine

if TYPE_CHECKING:
    from pi0_bringup.demo.monitor import Monitor

# A cold start loads torch and, in the simulation, a renderer. This takes several seconds, and
# longer on a busy machine.
_START_TIMEOUT_S = 120.0
# A simulation with a lower real-time factor counts as stuck.
_SLOWEST_FACTOR = 0.1
# Period of the status line on a terminal.
_LINE_S = 0.5
# Scales the mock robot's 640x480 to 224 pixels wide, the width of the model's views.
_CAMERA_SCALE = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """Options of the demo.

    ``hardware`` is mujoco or mock. Without a ``checkpoint`` an untrained one is created.
    """

    embodiment: Embodiment
    hardware: str
    scene: str
    duration_s: float
    out: Path
    checkpoint: Path | None
    prompt: str


def run(options: DemoOptions, output: TextIO) -> Recording:
    """Run the graph for ``duration_s`` of robot time.

    Raises :class:`~pi0_bringup.private_graph.GraphRunError` if it does not get that far,
    KeyboardInterrupt if a stop was requested. Either way every process has ended.
    """
    checkpoint = options.checkpoint or _untrained_checkpoint(options, output)
    with private_graph(_processes(options, checkpoint), options.out) as graph:
        # Imported while the processes start.
        from pi0_bringup.demo.monitor import Monitor

        monitor = graph.add(Monitor(options.embodiment, options.duration_s))
        with TerminalLine(output, _LINE_S) as line:
            graph.meanwhile = lambda: line.update(lambda: state_line(monitor, options.duration_s))
            _record(options, graph, monitor)
        return monitor.recording


def _record(options: DemoOptions, graph: PrivateGraph, monitor: Monitor) -> None:
    recording = monitor.recording
    if not graph.wait(lambda: recording.last is not None, _START_TIMEOUT_S):
        state = f"{monitor.state}: {monitor.reason}" if monitor.state else "silent"
        raise graph.error(
            f"nothing was executed within {_START_TIMEOUT_S:g} s; the executor is {state}"
        )
    limit_s = options.duration_s / _SLOWEST_FACTOR + 30.0
    if not graph.wait(lambda: recording.robot_s >= options.duration_s, limit_s):
        raise graph.error(f"only {recording.robot_s:.1f} s of robot time passed in {limit_s:.0f} s")


def _untrained_checkpoint(options: DemoOptions, output: TextIO) -> Path:
    """Create one in a separate process, so that torch does not disturb the monitor."""
    path = options.out / "checkpoint"
    output.write(
        "The network has its real architecture at tiny size and random weights: it is UNTRAINED.\n"
        "Expect small, noise-like motion around the home pose, not a task done.\n"
    )
    output.flush()
    words = ["checkpoint", "create", str(options.embodiment.path), "--out", str(path)]
    command = [sys.executable, "-m", "pi0_ros.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GraphRunError(f"the checkpoint could not be created: {done.stderr.strip()}")
    return path


def _processes(options: DemoOptions, checkpoint: Path) -> tuple[Process, ...]:
    graph = GraphOptions(
        embodiment=str(options.embodiment.path),
        hardware=options.hardware,
        scene=options.scene,
        checkpoint=str(checkpoint),
        prompt=options.prompt,
        threads=1,  # more would slow the other nodes and not speed up the tiny network
    )
    return tuple(
        replace(process, parameters={**process.parameters, "camera_scale": _CAMERA_SCALE})
        if process.name == "mock_robot"
        else process
        for process in declare(graph)
    )
