"""An installation prefix whose programs run the source tree.

Tests of whole graphs so test the code beside them, whatever was installed last.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from harness import ROOT

_SCRIPT = re.compile(r'"(\w+) = ([\w.]+):main"')


def write_prefix(root: Path) -> Path:
    """Write every console script that the two setup.py declare; returns ``root``."""
    for package, setup in (
        ("pi0_ros", ROOT / "setup.py"),
        ("pi0_bringup", ROOT / "pi0_bringup" / "setup.py"),
    ):
        folder = root / "lib" / package
        folder.mkdir(parents=True)
        for name, module in _SCRIPT.findall(setup.read_text(encoding="utf-8")):
            program = folder / name
            program.write_text(
                f"#!{sys.executable}\nimport sys\nfrom {module} import main\nsys.exit(main())\n"
            )
            program.chmod(0o755)
    profile = root / "share" / "pi0_bringup" / "config" / "fastdds.xml"
    profile.parent.mkdir(parents=True)
    profile.symlink_to(ROOT / "pi0_bringup" / "config" / "fastdds.xml")
    return root


def running_programs(root: Path) -> dict[str, int]:
    """Name and process id of the programs of this prefix that run now."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # ended meanwhile
            continue
        for word in words[:2]:
            if word.startswith(f"{root}/lib/"):
                found[Path(word).name] = int(entry.name)
    return found
