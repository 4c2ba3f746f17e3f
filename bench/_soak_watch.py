"""Observes a running suite for the soak test: statuses, commands and processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _audit import StreamAudit
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from pi0_msgs.msg import ExecutorStatus
from pi0_ros.control import ExecutorState
from pi0_ros.controllers import CONTROLLER_KINDS
from pi0_ros.embodiment import Controller, Embodiment
from pi0_ros.embodiment.packing import controller_packer
from pi0_ros.messages import message_class

# A deep queue keeps the messages sent while this process was not running.
_EVERYTHING = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5000, reliability=ReliabilityPolicy.RELIABLE
)
_EVERYTHING_LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=5000,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# Part of the reason for a hold: the arm is not at its commanded pose, and the executor restarts
# from the measured pose without having commanded the motion to it.
_BEGINS_ANEW = ("no tick for", "the measured pose is held")
_PAGE_MIB = 4096 / 2**20


@dataclass(slots=True)
class CommandStream:
    """Counts the commands of one controller, and those that match no tick."""

    received: int = 0
    waiting: list[bytes] = field(default_factory=list)
    unmatched: int = 0


class Watch(Node):
    """Audits the stream of ExecutorStatus and compares the controllers' commands with it.

    Commands do not contain the tick, so each must be bit-equal to the commanded values of
    some status. ``states`` counts ticks by state, ``lateness_ms`` keeps one summary a second.
    ``restarts`` counts how often the executor restarted from the measured pose.
    """

    def __init__(self, robot: Embodiment) -> None:
        super().__init__("soak_watch")
        self.audit = StreamAudit(robot.limits, 1.0 / robot.rates.control_hz)
        self.first: ExecutorStatus | None = None
        self.last: ExecutorStatus | None = None
        self.restarts = 0
        self.states: dict[str, int] = {}
        self.lateness_ms: list[tuple[float, float, float]] = []
        self.commands: dict[str, CommandStream] = {}
        self._packers = {c.name: controller_packer(robot, c) for c in robot.controllers}
        self._commanded: dict[str, set[bytes]] = {c.name: set() for c in robot.controllers}
        self.create_subscription(
            ExecutorStatus, "executor_status", self._on_status, _EVERYTHING_LATCHED
        )
        for controller in robot.controllers:
            self._listen(controller)

    def _listen(self, controller: Controller) -> None:
        stream = self.commands[controller.name] = CommandStream()
        kind, packer = CONTROLLER_KINDS.get(controller.kind), self._packers[controller.name]

        def on_command(message: Any) -> None:
            stream.received += 1
            stream.waiting.append(kind.read(packer, message).tobytes())

        listens = message_class(controller.message_type)
        self.create_subscription(listens, controller.topic, on_command, _EVERYTHING)

    def _on_status(self, status: ExecutorStatus) -> None:
        command = np.asarray(status.command, dtype=np.float64)
        if self.first is None:
            self.first = status
        before = self.last.reason if self.last else ""
        if status.reason != before and any(words in status.reason for words in _BEGINS_ANEW):
            self.restarts += 1
            self.audit.start_over()
        self.last = status
        state = ExecutorState(status.state).name
        self.states[state] = self.states.get(state, 0) + 1
        self.audit.add(status.ticks, command)
        for name, packer in self._packers.items():
            if np.isfinite(command).all():
                self._commanded[name].add(packer.raw(command).tobytes())
        if status.ticks % 50 == 0:
            late = (status.lateness_p50_ms, status.lateness_p99_ms, status.lateness_max_ms)
            self.lateness_ms.append(late)

    def begin(self) -> None:
        """Count ticks and lateness from now on; the audit keeps its state."""
        self.first = self.last
        self.states.clear()
        self.lateness_ms.clear()

    def match(self) -> None:
        """Compare the commands received so far. Call it after their statuses have arrived."""
        for name, stream in self.commands.items():
            known = self._commanded[name]
            stream.unmatched += sum(command not in known for command in stream.waiting)
            stream.waiting.clear()


class Memory:
    """Resident memory [MiB] of the processes of a suite, sampled over time."""

    def __init__(self) -> None:
        self._samples: dict[str, list[tuple[float, float]]] = {}

    def sample(self, now_s: float, pids: Mapping[str, int]) -> None:
        """Read the memory of every running process."""
        for name, pid in pids.items():
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except (OSError, IndexError):  # the process has ended
                continue
            self._samples.setdefault(name, []).append((now_s, pages * _PAGE_MIB))

    def summary(self) -> dict[str, dict[str, float]]:
        """Per process: median of the first and the last minute, slope after the first.

        A run shorter than three minutes is cut into thirds instead.
        """
        figures = {}
        for name, samples in self._samples.items():
            times_s, mib = np.array(samples).T
            times_s = times_s - times_s[0]
            window_s = min(60.0, times_s[-1] / 3.0)
            after = times_s >= window_s
            slope = np.polyfit(times_s[after], mib[after], 1)[0] if after.sum() > 2 else 0.0
            figures[name] = {
                "first_mib": round(float(np.median(mib[times_s <= window_s])), 1),
                "last_mib": round(float(np.median(mib[times_s >= times_s[-1] - window_s])), 1),
                "slope_mib_per_min": round(float(slope) * 60.0, 2),
            }
        return figures


def children(names: tuple[str, ...]) -> dict[str, int]:
    """Process ids of this process's children, by the node name on their command line."""
    found = {}
    for entry in Path("/proc/self/task").iterdir():
        for pid in (entry / "children").read_text().split():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            except OSError:  # the process has ended
                continue
            for name in names:
                if f"__node:={name}\0" in words:
                    found[name] = int(pid)
    return found
