"""The rules of the house hold for every file, and the checker can tell when they do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import house_rules as rules
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pi0_ros", "pi0_bringup/pi0_bringup")
SOURCES = rules.read_sources(ROOT, PACKAGES)
#: Everything of ours that is not a test; tests may craft what the rules forbid.
ALL_SOURCES = [*SOURCES, *rules.read_sources(ROOT, ("bootstrap", "bench", "launch"))]
TOP_LEVEL = {
    *("CHANGELOG.rst", "LICENSE", "Makefile", "README.md", "colcon_defaults.yaml", "package.xml"),
    *("pyproject.toml", "setup.cfg", "setup.py"),
    *("bench", "bootstrap", "docs", "embodiments", "launch", "resource", "test"),
    *("pi0_bringup", "pi0_msgs", "pi0_ros"),
}


def may_print(source: rules.Source) -> bool:
    """Commands talk to a terminal; libraries and nodes do not."""
    name = source.module
    return not name.startswith(("pi0_ros.", "pi0_bringup.")) or name.startswith(
        ("pi0_ros.cli", "pi0_bringup.demo.main")
    )


def report(violations: list[rules.Violation]) -> str:
    return "\n" + "\n".join(map(str, violations))


def test_every_import_follows_the_arrows() -> None:
    found = [v for source in SOURCES for v in rules.import_violations(source)]
    assert not found, report(found)


def test_every_file_lives_in_a_room_of_the_house() -> None:
    found = list(rules.unknown_rooms(SOURCES))
    assert not found, report(found)


def test_rooms_do_not_import_each_other_in_a_circle() -> None:
    assert rules.cycle(SOURCES) == []


def test_libraries_do_not_print_and_nothing_is_unpickled() -> None:
    found = [
        violation
        for source in ALL_SOURCES
        for violation in rules.conduct_violations(source, may_print=may_print(source))
    ]
    assert not found, report(found)


def test_no_file_is_too_long_to_read_at_one_sitting() -> None:
    sources = [*ALL_SOURCES, *rules.read_sources(ROOT, ("test",))]
    found = [violation for source in sources for violation in rules.length_violations(source)]
    assert not found, report(found)


def test_the_root_holds_only_what_the_house_plan_names() -> None:
    # What is in version control, and not what a user keeps beside it.
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    ours = {name for name in names if not name.startswith(".")}
    assert ours
    assert ours <= TOP_LEVEL, f"not in the house plan: {sorted(ours - TOP_LEVEL)}"


def source(room: str, text: str, name: str = "thing.py") -> rules.Source:
    """A made-up file pi0_ros/<room>/<name>; room may also start with pi0_bringup."""
    folder = room if room.startswith("pi0_bringup") else f"pi0_ros/{room}"
    file = Path(folder) / name
    parts = file.with_suffix("").parts
    return rules.Source(file, ".".join(p for p in parts if p != "__init__"), text)


@pytest.mark.parametrize(
    ("room", "text", "line"),
    [
        ("control", "import rclpy", 1),
        ("control", "\nimport torch", 2),
        ("sync", "def f():\n    import cv2", 2),
        ("sync", "from sensor_msgs.msg import Image", 1),
        ("embodiment", "import scipy.signal", 1),
        ("controllers", "from geometry_msgs.msg import Twist", 1),
        ("embodiment", "from pi0_ros.control import limits", 1),
        ("model", "from pi0_ros.embodiment import load", 1),
        ("model", "from ..checkpoint import store", 1),
        ("model", "from .. import policy", 1),
        ("policy", "from pi0_ros.control.chunk import Chunk", 1),
        ("policy", "import pi0_ros.nodes.managed", 1),
        ("policy", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rclpy.node", 3),
        ("dataset/format", "from pi0_ros.dataset.convert.bags import Bag", 1),
        ("dataset/video", "from pi0_ros.dataset import Dataset", 1),
        ("cli", "import importlib\nimportlib.import_module('rclpy')", 2),
        ("graph", "from pi0_ros.nodes import managed", 1),
        ("graph", "from std_srvs.srv import Trigger", 1),
        ("nodes", "from pi0_ros.cli import main", 1),
        ("nodes", "import pi0_bringup.demo.main", 1),
        ("nodes", "import pickle", 1),
        ("pi0_bringup/mock", "import dill", 1),
    ],
)
def test_names_file_and_line_of_a_forbidden_import(room: str, text: str, line: int) -> None:
    made_up = source(room, text)
    found = list(rules.import_violations(made_up))
    assert [(v.file, v.line) for v in found] == [(made_up.file, line)]
    assert str(found[0]).startswith(f"{made_up.file}:{line}: imports ")


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("control", "import numpy as np\nfrom pi0_ros.embodiment.types import Embodiment"),
        (
            "control",
            "from . import limits\nfrom .chunk import Chunk\nfrom ..embodiment import load",
        ),
        ("embodiment", "import yaml, pydantic, difflib"),
        ("controllers", "def f():\n    from rclpy.duration import Duration"),
        ("model", "import torch.nn.functional as F\nfrom .config import Pi0Config"),
        ("policy", "from pi0_ros.checkpoint import store\nimport torch"),
        ("nodes", "import rclpy\nfrom pi0_msgs.msg import Observation\nfrom pi0_ros.sync import x"),
        ("recording", "from rosgraph_msgs.msg import Clock"),
        ("dataset/convert", "from pi0_ros.dataset.format.info import Info"),
        ("pi0_bringup/mock", "import rclpy\nfrom pi0_ros.nodes.managed import ManagedNode"),
    ],
)
def test_allows_what_the_house_plan_allows(room: str, text: str) -> None:
    assert list(rules.import_violations(source(room, text))) == []


def test_resolves_relative_imports_of_a_package_file() -> None:
    made_up = source("model", "from ..policy import Policy", name="__init__.py")
    assert [name for _, name in rules.imports(made_up)] == ["pi0_ros.policy.Policy"]


def test_refuses_a_room_called_utils() -> None:
    found = list(rules.unknown_rooms([source("utils", "")]))
    assert "utils is no room of the house" in str(found[0])


def test_finds_a_circle_through_three_rooms() -> None:
    circle = [
        source("policy", "import pi0_ros.checkpoint.store"),
        source("checkpoint", "from pi0_ros.model import Pi0"),
        source("model", "def f():\n    from ..policy import Policy"),
    ]
    assert rules.cycle(circle) == ["checkpoint", "model", "policy", "checkpoint"]
    assert rules.cycle(circle[:2]) == []


@pytest.mark.parametrize(
    "text",
    [
        "print('hello')",
        "print('hello', file=sys.stderr)",
        "import torch\ntorch.load('w.pt')",
        "torch.load('w.pt', weights_only=False)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_finds_forbidden_calls(text: str) -> None:
    assert len(list(rules.conduct_violations(source("policy", text), may_print=False))) == 1


def test_allows_printing_commands_and_weights_only() -> None:
    text = "print(1)\ntorch.load('w.pt', weights_only=True)\nnp.load(path)"
    assert list(rules.conduct_violations(source("cli", text), may_print=True)) == []


def test_allows_a_library_to_write_to_the_stream_it_was_given() -> None:
    made_up = source("graph", "print('line', file=self._stream)")
    assert list(rules.conduct_violations(made_up, may_print=False)) == []


def test_finds_a_file_that_is_too_long_and_does_not_say_why() -> None:
    reason = '"""Rules. Over 300 lines: one table."""\n'
    assert list(rules.length_violations(source("control", "x = 1\n" * 301)))
    assert not list(rules.length_violations(source("control", "x = 1\n" * 300)))
    assert not list(rules.length_violations(source("control", reason + "x = 1\n" * 399)))
    assert list(rules.length_violations(source("control", reason + "x = 1\n" * 400)))
