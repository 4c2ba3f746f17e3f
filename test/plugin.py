"""A package of somebody else's, installed for one test: modules and entry points."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest


def install(
    patch: pytest.MonkeyPatch, folder: Path, modules: Mapping[str, str], points: Mapping[str, str]
) -> Path:
    """Put a package on the path as pip would leave it; returns its folder.

    ``modules``: file name to text. ``points``: entry-point group to ``name = module:attribute``.
    Child processes find it with the folder on PYTHONPATH.
    """
    folder.mkdir(exist_ok=True)
    for name, text in modules.items():
        patch.delitem(sys.modules, name, raising=False)  # of another test
        (folder / f"{name}.py").write_text(dedent(text), encoding="utf-8")
    name = f"lab_{folder.name}"
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = (line for group, point in points.items() for line in (f"[{group}]", point, ""))
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    patch.syspath_prepend(str(folder))
    return folder
