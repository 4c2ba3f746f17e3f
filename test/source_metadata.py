"""Package metadata of the source tree, so that tests see its entry points.

An installed copy may be older than the source tree; what stands first in the path counts.
"""

from __future__ import annotations

import ast
from pathlib import Path

BRINGUP = Path(__file__).resolve().parents[1] / "pi0_bringup"


def declared_entry_points(setup: Path) -> dict[str, list[str]]:
    """The entry points that a ``setup.py`` declares, by group."""
    for node in ast.walk(ast.parse(setup.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "entry_points":
            groups: dict[str, list[str]] = ast.literal_eval(node.value)
            return groups
    return {}


def write_metadata(
    folder: str | Path, name: str = "pi0_bringup", groups: dict[str, list[str]] | None = None
) -> None:
    """Write a distribution with these entry points, by default with those of ``pi0_bringup``."""
    if groups is None:
        groups = declared_entry_points(BRINGUP / "setup.py")
    target = Path(folder) / f"{name}-0.1.0.dist-info"
    target.mkdir()
    (target / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    text = "\n".join(f"[{group}]\n" + "\n".join(rows) for group, rows in groups.items())
    (target / "entry_points.txt").write_text(text + "\n", encoding="utf-8")
