"""Collects the reports of the nodes with their times of arrival, and makes one snapshot of them.

The caller passes times in seconds on a steady clock, so the stamps of messages do not matter: a
paused simulation is not silent, and a node that has died is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from pi0_ros.clients.status.model import (
    Joint,
    Level,
    Loop,
    Node,
    Policy,
    Report,
    Snapshot,
    StreamStatus,
    number,
)
from pi0_ros.control import ExecutorState
from pi0_ros.embodiment import Embodiment
from pi0_ros.nodes.executor_status import ExecutorView, LimitHits

#: The nodes of every suite, in the order of the data flow. A silent one is a fault.
CORE = ("camera_sync", "policy", "chunk_executor")
#: Node names of a suite, used to distinguish the nodes of another suite from drivers.
_SUITE = {*CORE, "mock_robot", "mujoco_robot", "recorder", "planner"}
#: Nodes publish diagnostics at 1 Hz.
SILENT_AFTER_S = 3.0
#: The executor publishes its status in every tick.
NO_TICK_AFTER_S = 1.0
#: A driver that has been silent for longer is not shown.
_FORGET_S = 10.0
#: Time over which the tick rate is measured, and in which a counter counts as rising.
_WINDOW_S = 5.0
_SLOW = 0.8
_SHORTEST_S = 0.2
#: Counters that do not rise in normal operation.
_COUNTERS = ("missed_ticks", "vetoed_ticks", "chunks_refused", "underruns")
_NO_HITS = LimitHits()


class SuiteMonitor:
    """Keeps the reports of the nodes in ``namespace``, and the warnings and errors of drivers."""

    def __init__(self, domain_id: int, namespace: str) -> None:
        self._domain_id = domain_id
        self._namespace = namespace.strip("/")
        self._reports: dict[str, tuple[Report, float]] = {}
        self._controls: deque[tuple[float, ExecutorView]] = deque()
        self._present: frozenset[str] = frozenset()

    @property
    def embodiment(self) -> str | None:
        """Name of the robot; None before the first status of the executor."""
        return self._controls[-1][1].embodiment if self._controls else None

    def report(self, report: Report, now_s: float) -> None:
        """Store a diagnostic status of a node."""
        if not self._is_of_another_suite(report.name):
            self._reports[report.name] = (report, now_s)

    def control(self, control: ExecutorView, heard_s: float) -> None:
        """Store the newest status of the executor, which arrived at ``heard_s``."""
        if self._controls and control.ticks < self._controls[-1][1].ticks:
            self._controls.clear()  # a new activation counts from 0
        self._controls.append((heard_s, control))
        while heard_s - self._controls[0][0] > _WINDOW_S:
            self._controls.popleft()

    def present(self, nodes: Collection[str]) -> None:
        """Store the full names of all nodes in the graph, including those that do not report."""
        self._present = frozenset(name.strip("/") for name in nodes)

    def complete(self) -> bool:
        """Whether the executor's status and a report of every core node have arrived."""
        reported = {_node_of(name) for name in self._reports}
        return bool(self._controls) and all(self._full(name) in reported for name in CORE)

    def snapshot(self, now_s: float, robot: Embodiment | None) -> Snapshot:
        """The state of the suite at ``now_s``, with the limits of ``robot`` if it is known."""
        nodes = self._nodes(now_s)
        control = self._controls[-1][1] if self._controls else None
        worst = max(nodes, key=lambda node: node.level)
        heard = bool(self._reports or control)
        sync = self._values("camera_sync", now_s)
        verdict = "OK" if worst.level is Level.OK else f"{worst.name}: {worst.said}"
        return Snapshot(
            heard=heard,
            level=worst.level,
            verdict=verdict if heard else self._nothing_heard(),
            domain_id=self._domain_id,
            namespace=f"/{self._namespace}",
            robot=control.embodiment if control else "",
            control=control,
            loop=self._loop(now_s, robot) if control else None,
            joints=self._joints(control, now_s, robot) if control else (),
            policy=self._policy(now_s),
            sets={key: value for key, value in sync.items() if "." not in key},
            streams=_streams(sync),
            nodes=nodes,
        )

    def _nothing_heard(self) -> str:
        where = f" in namespace /{self._namespace}" if self._namespace else ""
        return (
            f"nothing heard{where}: is the suite running (`pi0 up`)?"
            f" ROS_DOMAIN_ID is {self._domain_id} here"
        )

    def _full(self, node: str) -> str:
        return f"{self._namespace}/{node}" if self._namespace else node

    def _is_of_another_suite(self, name: str) -> bool:
        namespace, _, node = _node_of(name).rpartition("/")
        return node in _SUITE and namespace != self._namespace

    def _nodes(self, now_s: float) -> tuple[Node, ...]:
        lines = []
        for core in CORE:
            known = [n for n in self._reports if _node_of(n) == self._full(core)]
            lines += [self._line(core, name, now_s) for name in known] or [self._unheard(core)]
        others = [n for n in self._reports if _node_of(n) not in {self._full(c) for c in CORE}]
        for name in sorted(others):
            report, heard_s = self._reports[name]
            namespace, _, node = _node_of(name).rpartition("/")
            ours = namespace == self._namespace and node in _SUITE
            complains = report.level is not Level.OK and now_s - heard_s < _FORGET_S
            if ours or complains:
                lines.append(self._line(node if ours else name, name, now_s))
        return tuple(self._with_ticks(line, now_s) for line in lines)

    def _line(self, label: str, name: str, now_s: float) -> Node:
        report, heard_s = self._reports[name]
        ago_s = now_s - heard_s
        if ago_s <= SILENT_AFTER_S:
            return Node(name=label, level=report.level, said=report.message, heard_s_ago=ago_s)
        said = f"last heard {ago_s:.0f} s ago: {report.message}"
        return Node(name=label, level=Level.SILENT, said=said, heard_s_ago=ago_s)

    def _unheard(self, core: str) -> Node:
        starting = self._full(core) in self._present
        said = "starting: no diagnostics yet" if starting else "never heard"
        return Node(name=core, level=Level.SILENT, said=said, heard_s_ago=None)

    def _with_ticks(self, line: Node, now_s: float) -> Node:
        """The line, as an error if the executor reports but does not tick."""
        if line.name != "chunk_executor" or line.level is Level.SILENT or not self._controls:
            return line
        heard_s, control = self._controls[-1]
        ago_s = now_s - heard_s
        if control.state is ExecutorState.INACTIVE or ago_s <= NO_TICK_AFTER_S:
            return line
        said = f"no tick for {ago_s:.0f} s (does /clock stand still?); {line.said}"
        return Node(name=line.name, level=Level.ERROR, said=said, heard_s_ago=line.heard_s_ago)

    def _values(self, node: str, now_s: float) -> dict[str, str]:
        """Values of a node that is not silent."""
        for name, (report, heard_s) in self._reports.items():
            if _node_of(name) == self._full(node) and now_s - heard_s <= SILENT_AFTER_S:
                return dict(report.values)
        return {}

    def _policy(self, now_s: float) -> Policy | None:
        values = self._values("policy", now_s)
        if not values:
            return None
        return Policy(
            checkpoint=values.get("checkpoint", ""),
            trained=values.get("trained") != "false",
            prompt=values.get("prompt", ""),
            values=values,
        )

    def _loop(self, now_s: float, robot: Embodiment | None) -> Loop:
        (first_s, first), (last_s, last) = self._controls[0], self._controls[-1]
        elapsed_s = last_s - first_s
        known = elapsed_s > _SHORTEST_S and now_s - last_s <= NO_TICK_AFTER_S
        return Loop(
            tick_hz=(last.ticks - first.ticks) / elapsed_s if known else None,
            expected_hz=robot.rates.control_hz if robot else None,
            heard_s_ago=now_s - last_s,
            tracking_error=number(self._values("chunk_executor", now_s), "tracking_error_max"),
            rising=tuple(c for c in _COUNTERS if getattr(last, c) > getattr(first, c)),
        )

    def _joints(
        self, control: ExecutorView, now_s: float, robot: Embodiment | None
    ) -> tuple[Joint, ...]:
        before = self._controls[0][1]
        said = self._values("chunk_executor", now_s)
        known = {d.name: d for d in robot.action} if robot else {}
        joints = []
        for k, name in enumerate(control.action_names):
            dimension = known.get(name)
            limits = dimension.limits if dimension else None
            hits = control.limit_hits[k] if k < len(control.limit_hits) else _NO_HITS
            earlier = before.limit_hits[k] if k < len(before.limit_hits) else _NO_HITS
            joints.append(
                Joint(
                    name=name,
                    unit=dimension.unit if dimension else "",
                    command=_at(control.command, k),
                    velocity=_at(control.command_velocity, k),
                    off=number(said, f"off.{name}"),
                    lower=limits.lower if limits else None,
                    upper=limits.upper if limits else None,
                    velocity_limit=limits.velocity if limits else None,
                    hits=hits,
                    recent=(
                        hits[0] > earlier[0],
                        hits[1] > earlier[1],
                        hits[2] > earlier[2],
                        hits[3] > earlier[3],
                    ),
                )
            )
        return tuple(joints)


def _node_of(report_name: str) -> str:
    """``namespace/node`` of ``namespace/node: task``."""
    return report_name.split(":", 1)[0].strip().strip("/")


def _at(values: tuple[float, ...], index: int) -> float:
    return values[index] if index < len(values) else float("nan")


def _streams(sync: dict[str, str]) -> tuple[StreamStatus, ...]:
    """The streams in the order of the values of camera_sync."""
    names = [key[: -len(".expected_hz")] for key in sync if key.endswith(".expected_hz")]
    return tuple(_stream(name, sync) for name in names)


def _stream(name: str, sync: dict[str, str]) -> StreamStatus:
    rate_hz = number(sync, f"{name}.rate_hz")
    expected_hz = number(sync, f"{name}.expected_hz")
    age_ms = number(sync, f"{name}.age_ms")
    level = Level.OK
    if age_ms is None or rate_hz == 0.0:
        level = Level.SILENT
    elif rate_hz is not None and expected_hz is not None and rate_hz < _SLOW * expected_hz - 1.0:
        level = Level.WARN
    return StreamStatus(
        name=name,
        level=level,
        rate_hz=rate_hz,
        expected_hz=expected_hz,
        age_ms=age_ms,
        skew_ms=number(sync, f"{name}.skew_max_ms"),
    )
