"""Checks of the house rules on source text: who may import what, and what no file may do.

Nothing is imported from the files under check, so that every room is checked on any machine.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Where each room of pi0_ros may reach inside the house. No room is called utils.
ARROWS: Mapping[str, frozenset[str]] = {
    "controllers": frozenset(),
    "state_sources": frozenset(),
    "camera_encodings": frozenset(),
    "embodiment": frozenset({"camera_encodings", "controllers", "state_sources"}),
    "model": frozenset(),
    "control": frozenset({"embodiment"}),
    "sync": frozenset({"camera_encodings", "embodiment"}),
    "checkpoint": frozenset({"embodiment", "model"}),
    "policy": frozenset({"checkpoint", "embodiment", "model", "sync"}),
    "recording": frozenset({"embodiment", "sync", "system"}),
    "dataset": frozenset(
        {"camera_encodings", "controllers", "embodiment", "recording", "state_sources", "sync"}
        | {"system"}
    ),
    "training": frozenset({"checkpoint", "dataset", "embodiment", "model", "policy"}),
    "planning": frozenset({"dataset", "embodiment", "policy"}),
    "system": frozenset(),
    # Of policy only the options, which need no torch.
    "graph": frozenset({"embodiment", "policy", "system"}),
    "nodes": frozenset(
        {"checkpoint", "control", "controllers", "embodiment", "model", "planning", "policy"}
        | {"recording", "sync", "system"}
    ),
    "clients": frozenset(
        {"control", "dataset", "embodiment", "graph", "nodes", "recording", "sync", "system"}
    ),
    "cli": frozenset(
        {"checkpoint", "clients", "dataset", "embodiment", "graph", "model", "planning", "policy"}
        | {"recording", "system", "training"}
    ),
}
#: Where each part of dataset may reach inside dataset; every part may import its errors.
DATASET_ARROWS: Mapping[str, frozenset[str]] = {
    "video": frozenset(),
    "format": frozenset({"video"}),
    "lock": frozenset({"format"}),
    "convert": frozenset({"format", "lock", "video"}),
    "export": frozenset({"format"}),
    "view": frozenset({"format"}),
    "edit": frozenset({"format", "lock"}),
    "recorded_actions": frozenset({"convert", "format"}),
}
#: Modules at the root of the package, which every room may use.
FOUNDATION = frozenset({"arrays", "extensions", "instruction", "messages", "stamps"})
KNOWN = frozenset(ARROWS) | FOUNDATION
#: The only rooms that may touch the ROS client library or a message package.
ROS_ROOMS = frozenset({"clients", "controllers", "dataset", "nodes", "recording", "state_sources"})
#: Of those, the rooms that rooms without ROS import: they may touch it inside functions only.
LAZY_ROS_ROOMS = frozenset({"controllers", "state_sources"})
#: What the pure rooms may import beside the standard library.
THIRD_PARTY: Mapping[str, frozenset[str]] = {
    "camera_encodings": frozenset({"PIL", "numpy"}),
    "controllers": frozenset({"numpy"}),
    "state_sources": frozenset({"numpy"}),
    "embodiment": frozenset({"numpy", "pydantic", "pydantic_core", "yaml"}),
    "control": frozenset({"numpy", "yaml"}),
    # Pillow because its filter is the one the public checkpoints saw their images through.
    "sync": frozenset({"PIL", "numpy", "yaml"}),
    "model": frozenset({"torch"}),
}
UNPICKLERS = frozenset({"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"})
LONGEST_FILE = 300
#: A file may be this long if its docstring says why, after "Over 300 lines:".
LONGEST_FILE_WITH_REASON = 400


@dataclass(frozen=True)
class Violation:
    """One broken rule, printed as ``file:line: message``."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Source:
    """One Python file; ``module`` is its dotted name, ``room`` its part of pi0_ros or ''."""

    file: Path
    module: str
    text: str

    @property
    def room(self) -> str:
        parts = self.module.split(".")
        return parts[1] if parts[0] == "pi0_ros" and len(parts) > 1 else ""

    @property
    def in_bringup(self) -> bool:
        return self.module.split(".")[0] == "pi0_bringup"

    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.file))


def read_sources(root: Path, package_folders: Iterable[str]) -> list[Source]:
    """Every Python file below the package folders, relative to the root."""
    sources = []
    for folder in package_folders:
        base = root / folder
        for file in sorted(base.rglob("*.py")):
            parts = [base.name, *file.relative_to(base).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            text = file.read_text(encoding="utf-8")
            sources.append(Source(file.relative_to(root), ".".join(parts), text))
    return sources


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of every import: top level, in functions, for types only."""
    package = source.module.split(".")
    if source.file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(source.tree()):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node).endswith("import_module"):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, name.value


def is_ros(name: str) -> bool:
    """Whether a dotted name belongs to the client library or to a message package."""
    top = name.split(".")[0]
    known = {"cv_bridge", "message_filters", "rclpy", "rosbag2_py", "std_srvs", "tf2_ros"}
    return top in known or top.endswith(("_msgs", "_interfaces"))


def import_violations(source: Source) -> Iterator[Violation]:
    """Imports that the rules of the house forbid to this file."""
    for line, name in imports(source):
        reason = _forbidden(source, name)
        if reason:
            yield Violation(source.file, line, f"imports {name}: {reason}")
    yield from _early_ros(source)


def _early_ros(source: Source) -> Iterator[Violation]:
    """Imports of ROS that run as soon as a lazy room is imported."""
    if source.room not in LAZY_ROS_ROOMS or source.in_bringup:
        return
    inside = {
        line
        for node in ast.walk(source.tree())
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    for line, name in imports(source):
        if is_ros(name) and line not in inside:
            yield Violation(source.file, line, f"imports {name}: do it inside the function")


def _forbidden(source: Source, name: str) -> str | None:
    top = name.split(".")[0]
    if top in UNPICKLERS:
        return "nothing is unpickled in this suite"
    if source.in_bringup:
        return None
    if top == "pi0_bringup":
        return "the suite does not know what stands around it"
    if is_ros(name) and source.room not in ROS_ROOMS:
        return f"only {', '.join(sorted(ROS_ROOMS))} and pi0_bringup may touch ROS"
    if top == "pi0_ros":
        return _forbidden_room(source, name)
    if is_ros(name):
        return None
    allowed = THIRD_PARTY.get(source.room)
    if allowed is not None and top not in allowed and top not in sys.stdlib_module_names:
        return f"{source.room} may import {', '.join(sorted(allowed))} only"
    return None


def _forbidden_room(source: Source, name: str) -> str | None:
    target = room_of(name)
    if target == source.room == "dataset":
        return _forbidden_part_of_dataset(source, name)
    if target in {"", source.room} | FOUNDATION or target in ARROWS.get(source.room, frozenset()):
        return None
    return f"no arrow leads from {source.room or 'the package root'} to {target}"


def _forbidden_part_of_dataset(source: Source, name: str) -> str | None:
    part, target = (f"{module}..".split(".")[2] for module in (source.module, name))
    if part in {"", "errors"} or target in {part, "errors"} | DATASET_ARROWS.get(part, frozenset()):
        return None
    return f"no arrow leads from dataset/{part} to dataset/{target}"


def room_of(name: str) -> str:
    """The room a dotted name of pi0_ros leads to, '' for the package itself."""
    parts = name.split(".")
    return parts[1] if parts[0] == "pi0_ros" and len(parts) > 1 and parts[1] in KNOWN else ""


def unknown_rooms(sources: Iterable[Source]) -> Iterator[Violation]:
    """Files of pi0_ros that belong to no room of the house."""
    for source in sources:
        if source.module.startswith("pi0_ros.") and source.room not in KNOWN:
            known = ", ".join(sorted(ARROWS))
            yield Violation(
                source.file, 1, f"{source.room} is no room of the house; there are {known}"
            )


def cycle(sources: Iterable[Source]) -> list[str]:
    """Rooms that import each other in a circle, first one repeated at the end; [] if none do."""
    graph: dict[str, set[str]] = {}
    for source in sources:
        targets = {room_of(name) for _, name in imports(source)} - {"", source.room}
        if source.room in KNOWN:
            graph.setdefault(source.room, set()).update(targets)
    finished: set[str] = set()

    def visit(room: str, trail: list[str]) -> list[str]:
        if room in trail:
            return [*trail[trail.index(room) :], room]
        if room in finished:
            return []
        for target in sorted(graph.get(room, ())):
            found = visit(target, [*trail, room])
            if found:
                return found
        finished.add(room)
        return []

    return next((found for room in sorted(graph) if (found := visit(room, []))), [])


def conduct_violations(source: Source, *, may_print: bool) -> Iterator[Violation]:
    """Calls no file may make: printing from a library, loading pickled data."""
    for node in ast.walk(source.tree()):
        if not isinstance(node, ast.Call):
            continue
        name = _called(node)
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        if name == "print" and not may_print and _is_standard(options.get("file")):
            yield Violation(source.file, node.lineno, "prints: log, or return the text")
        if name == "torch.load" and not _is_true(options.get("weights_only")):
            yield Violation(source.file, node.lineno, "torch.load without weights_only=True")
        if name.endswith("load") and _is_true(options.get("allow_pickle")):
            yield Violation(source.file, node.lineno, "loads with allow_pickle=True")


def length_violations(source: Source) -> Iterator[Violation]:
    """Files longer than a reader takes in at one sitting, unless they say why."""
    lines = source.text.count("\n")
    reason = f"Over {LONGEST_FILE} lines:" in (ast.get_docstring(source.tree()) or "")
    longest = LONGEST_FILE_WITH_REASON if reason else LONGEST_FILE
    if lines > longest:
        message = f"{lines} lines; split it, or say why in its docstring: over {LONGEST_FILE} lines"
        yield Violation(source.file, lines, message)


def _called(node: ast.Call) -> str:
    try:
        return ast.unparse(node.func)
    except ValueError:
        return ""


def _is_standard(stream: ast.expr | None) -> bool:
    return stream is None or ast.unparse(stream).startswith("sys.")


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
