"""The parameters of chunk_executor, which are read and checked in configure."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rclpy.node import Node

from pi0_ros.control import Tuning, Veto, load_veto
from pi0_ros.embodiment import Embodiment, available, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values of the parameters; see docs/reference/chunk_executor.md."""

    robot: Embodiment
    tuning: Tuning
    veto: Veto | None
    start_stopped: bool
    require_controllers: bool
    priority: int
    lock_memory: bool


def declare_settings(node: Node) -> None:
    """Declare every parameter with its default."""
    node.declare_parameter("embodiment", "")
    node.declare_parameter("start_stopped", False)
    node.declare_parameter("veto", "")
    node.declare_parameter("require_controllers", True)
    node.declare_parameter("priority", 20)
    node.declare_parameter("lock_memory", True)
    for field in fields(Tuning):
        node.declare_parameter(field.name, field.default)


def read_settings(node: Node) -> Settings:
    """The parameters as they are now. Raises ValueError for a bad one."""
    name = node.get_parameter("embodiment").value
    if not name:
        raise ValueError(f"embodiment is empty; give a path or one of {', '.join(available())}")
    priority = node.get_parameter("priority").value
    if priority not in (0, *range(2, 100)):
        raise ValueError(f"priority is {priority}; give 2 to 99, or 0 for none")
    return Settings(
        robot=load(name),
        tuning=Tuning(**{f.name: node.get_parameter(f.name).value for f in fields(Tuning)}),
        veto=load_veto(node.get_parameter("veto").value),
        start_stopped=node.get_parameter("start_stopped").value,
        require_controllers=node.get_parameter("require_controllers").value,
        priority=priority,
        lock_memory=node.get_parameter("lock_memory").value,
    )
