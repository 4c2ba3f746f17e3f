"""Each package.xml names what its package imports, so that rosdep can install it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import house_rules as rules
import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Python module to rosdep key, where the two differ and a key exists.
KEYS = {
    "PIL": "python3-pil",
    "cv2": "python3-opencv",
    "imageio": "python3-imageio",
    "matplotlib": "python3-matplotlib",
    "mujoco": "python3-mujoco-pip",
    "numpy": "python3-numpy",
    "psutil": "python3-psutil",
    "pydantic": "python3-pydantic",
    "rosbags": "python3-rosbags-pip",
    "scipy": "python3-scipy",
    "torch": "python3-pytorch-pip",
    "transforms3d": "python3-transforms3d",
    "yaml": "python3-yaml",
}
ROS_TOOLS = {"ament_index_python", "launch", "launch_ros", "pi0_ros"}


def declared(package: Path) -> set[str]:
    manifest = ElementTree.parse(package / "package.xml").getroot()
    return {
        element.text or "" for tag in ("depend", "exec_depend") for element in manifest.iter(tag)
    }


def imported(package: Path, folders: tuple[str, ...]) -> dict[str, str]:
    """Dependency name to the first place that imports it."""
    found: dict[str, str] = {}
    for source in rules.read_sources(package, folders):
        for line, name in rules.imports(source):
            top = name.split(".")[0]
            if top in KEYS or top in ROS_TOOLS or rules.is_ros(name):
                found.setdefault(KEYS.get(top, top), f"{source.file}:{line}")
    return found


@pytest.mark.parametrize(
    ("package", "name"), [(ROOT, "pi0_ros"), (ROOT / "pi0_bringup", "pi0_bringup")]
)
def test_every_import_has_its_rosdep_key(package: Path, name: str) -> None:
    uses = imported(package, (name, "launch"))
    lacking = {key: place for key, place in uses.items() if key not in declared(package) | {name}}
    assert not lacking, f"{package / 'package.xml'} lacks exec_depend of {lacking}"


def test_the_three_packages_carry_one_version_and_licence() -> None:
    manifests = [ROOT / "package.xml", *sorted(ROOT.glob("pi0_*/package.xml"))]
    roots = [ElementTree.parse(manifest).getroot() for manifest in manifests]
    assert len({root.findtext("version") for root in roots}) == 1
    assert {root.findtext("license") for root in roots} == {"Apache-2.0"}
    assert len(roots) == 3
