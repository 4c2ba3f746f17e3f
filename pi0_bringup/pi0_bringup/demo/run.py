"""Start the graph, watch it for a while, stop it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pi0_bringup.demo.domain import private_domain
from pi0_bringup.demo.log import Log
from pi0_bringup.demo.progress import state_line
from pi0_bringup.demo.recording import Recording
from pi0_ros.embodiment import Embodiment
from pi0_ros.graph.declaration import Process, declare
from pi0_ros.graph.options import GraphOptions
from pi0_ros.graph.supervisor import Supervisor
from pi0_ros.system.terminal import TerminalLine

if TYPE_CHECKING:
    from pi0_bringup.demo.monitor import Monitor

# A cold start loads torch and, in the simulation, a renderer: seconds on an idle
# machine, many on a busy one.
_START_TIMEOUT_S = 120.0
# Simulated time slower than this is a standstill.
_SLOWEST_FACTOR = 0.1
_SLICE_S = 0.1
# Between two rewritings of the line on a terminal.
_LINE_S = 0.5
# Of the mock robot's 640x480: 224 pixels wide, what the model's view has room for.
_CAMERA_SCALE = 0.35


class DemoError(RuntimeError):
    """Why there is no demonstration to report on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What to demonstrate.

    ``hardware`` is mujoco or mock; without a ``checkpoint`` an untrained one is made.
    """

    embodiment: Embodiment
    hardware: str
    duration_s: float
    out: Path
    checkpoint: Path | None
    prompt: str


def run(options: DemoOptions, talk: TextIO) -> Recording:
    """Run the graph for ``duration_s`` of robot time.

    Raises :class:`DemoError` if it does not get that far, :class:`KeyboardInterrupt`
    when told to stop. Either way every process has ended.
    """
    checkpoint = options.checkpoint or _untrained_checkpoint(options, talk)
    with private_domain() as environment:
        os.environ.update(environment)
        processes = _processes(options, checkpoint)
        # The monitor uses the transport profile of the nodes it watches.
        os.environ.update(processes[0].environment)
        with Log(options.out / "log.txt") as log:
            return _Session(options, processes, log, talk).run()


def _untrained_checkpoint(options: DemoOptions, talk: TextIO) -> Path:
    """Make one, in a process of its own: torch has no place beside the monitor."""
    path = options.out / "checkpoint"
    talk.write(
        "The network has its real architecture at tiny size and random weights: it is UNTRAINED.\n"
        "Expect small, noise-like motion around the home pose, not a task done.\n"
    )
    talk.flush()
    words = ["checkpoint", "create", str(options.embodiment.path), "--out", str(path)]
    command = [sys.executable, "-m", "pi0_ros.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoError(f"no checkpoint could be made: {done.stderr.strip()}")
    return path


def _processes(options: DemoOptions, checkpoint: Path) -> tuple[Process, ...]:
    graph = GraphOptions(
        embodiment=str(options.embodiment.path),
        hardware=options.hardware,
        checkpoint=str(checkpoint),
        prompt=options.prompt,
        threads=1,  # the tiny network gains nothing from more, and the other nodes lose
    )
    return tuple(
        replace(process, parameters={**process.parameters, "camera_scale": _CAMERA_SCALE})
        if process.name == "mock_robot"
        else process
        for process in declare(graph)
    )


class _Session:
    """One run: the supervised graph, and a node that watches it."""

    def __init__(
        self, options: DemoOptions, processes: Sequence[Process], log: Log, talk: TextIO
    ) -> None:
        self._options = options
        self._log = log
        self._talk = talk
        self._graph = Supervisor(processes, log)

    def run(self) -> Recording:
        with self._graph:
            self._graph.start()
            recording = self._record()
        if self._graph.unclean:
            raise self._error("; ".join(self._graph.unclean))
        return recording

    def _record(self) -> Recording:
        # Imported while the nodes start.
        import rclpy
        from rclpy.experimental import EventsExecutor
        from rclpy.signals import SignalHandlerOptions

        from pi0_bringup.demo.monitor import Monitor

        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        try:
            monitor = Monitor(self._options.embodiment, self._options.duration_s)
            executor = EventsExecutor()
            executor.add_node(monitor)
            with TerminalLine(self._talk, _LINE_S) as progress:
                self._wait(monitor, executor.spin_once, progress)
            executor.remove_node(monitor)
            monitor.destroy_node()
        finally:
            rclpy.try_shutdown()
        return monitor.recording

    def _wait(
        self, monitor: Monitor, spin_once: Callable[..., None], progress: TerminalLine
    ) -> None:
        recording = monitor.recording

        def spin_until(done: Callable[[], bool], timeout_s: float) -> bool:
            deadline = time.monotonic() + timeout_s
            while not done():
                self._raise_if_over()
                if time.monotonic() > deadline:
                    return False
                slice_end = time.monotonic() + _SLICE_S
                while (left_s := slice_end - time.monotonic()) > 0.0:
                    spin_once(timeout_sec=left_s)
                self._graph.step(0.0)
                progress.update(lambda: state_line(monitor, self._options.duration_s))
            return True

        if not spin_until(lambda: recording.last is not None, _START_TIMEOUT_S):
            state = f"{monitor.state}: {monitor.reason}" if monitor.state else "silent"
            raise self._error(
                f"nothing was executed within {_START_TIMEOUT_S:g} s; the executor is {state}"
            )
        limit_s = self._options.duration_s / _SLOWEST_FACTOR + 30.0
        if not spin_until(lambda: recording.robot_s >= self._options.duration_s, limit_s):
            raise self._error(f"only {recording.robot_s:.1f} s went by in {limit_s:.0f} s")

    def _raise_if_over(self) -> None:
        if self._graph.failure is not None:
            raise self._error(self._graph.failure)
        if self._graph.stop_requested:
            raise KeyboardInterrupt

    def _error(self, reason: str) -> DemoError:
        return DemoError(f"{reason}\n{self._log.tail()}")
