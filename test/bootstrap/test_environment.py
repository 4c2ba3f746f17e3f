"""The virtual environment: requirements by mode, mended CMake files, variables of children."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

import pytest

from bootstrap import environment
from bootstrap.errors import SetupError
from bootstrap.host import Mode

FOLDER = Path(environment.__file__).parent
PIN = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]+)(\[\w+\])?==[\w.]+( ; python_version (<|>=) \"3\.11\")?"
)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    (tmp_path / "lib/python3.12/site-packages/numpy/_core/include").mkdir(parents=True)
    (tmp_path / "share/std_msgs/cmake").mkdir(parents=True)
    return tmp_path


def cmake_file(venv: Path, text: str) -> Path:
    file = venv / "share/std_msgs/cmake/export.cmake"
    file.write_text(text)
    return file


def test_python_and_numpy_headers_of_the_wheels_are_replaced(venv: Path) -> None:
    file = cmake_file(
        venv,
        'set(dirs "${_IMPORT_PREFIX}/include;/opt/python/cp312-cp312/include/python3.12;'
        '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include")\n',
    )
    changed = environment.mend_cmake_exports(venv, Path("/usr/include/python3.12"))
    numpy = venv / "lib/python3.12/site-packages/numpy/_core/include"
    assert changed == [file]
    assert file.read_text() == (
        f'set(dirs "${{_IMPORT_PREFIX}}/include;/usr/include/python3.12;{numpy}")\n'
    )


def test_mending_twice_changes_nothing_more(venv: Path) -> None:
    cmake_file(venv, '"/opt/python/cp310-cp310/include/python3.10"')
    assert environment.mend_cmake_exports(venv, Path("/usr/include"))
    assert environment.mend_cmake_exports(venv, Path("/usr/include")) == []


def test_an_unknown_path_of_the_build_machine_is_named(venv: Path) -> None:
    file = cmake_file(venv, 'x "/opt/python/cp312-cp312/lib/libpython3.so;other"')
    with pytest.raises(SetupError, match=r"/opt/python/cp312-cp312/lib/libpython3\.so$") as caught:
        environment.mend_cmake_exports(venv, Path("/usr/include"))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("mode", list(Mode))
def test_every_requirement_is_pinned_and_has_a_reason(mode: Mode) -> None:
    for file in [*environment.requirement_files(mode, FOLDER), environment.no_deps_file(FOLDER)]:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                pin, _, reason = line.partition("#")
                assert PIN.fullmatch(pin.strip()), f"{file.name}: {line}"
                assert reason.strip(), f"{file.name}: {line}"


def test_each_mode_brings_its_own_numpy() -> None:
    def numpy(mode: Mode) -> list[str]:
        files = environment.requirement_files(mode, FOLDER)
        return re.findall(r"^numpy==(\d)", "\n".join(f.read_text() for f in files), re.MULTILINE)

    assert numpy(Mode.WHEELS) == ["2"]
    assert numpy(Mode.SOURCED) == ["1"]
    assert "\nnumpy==" not in (FOLDER / "constraints.txt").read_text(encoding="utf-8")


def test_a_sourced_ros_gets_no_ros_wheels() -> None:
    files = environment.requirement_files(Mode.SOURCED, FOLDER)
    assert not any("ros-jazzy" in file.read_text(encoding="utf-8") for file in files)


def test_children_do_not_inherit_another_environment() -> None:
    parent = {
        "PATH": "/usr/bin",
        "PYTHONPATH": "/elsewhere",
        "LD_LIBRARY_PATH": "/elsewhere/lib",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
        "MAKEFLAGS": "-j --jobserver-auth=3,4",
        "HOME": "/home/me",
    }
    assert environment.child_environment(Path("/v"), Mode.WHEELS, parent) == {
        "PATH": "/v/bin:/usr/bin",
        "AMENT_PREFIX_PATH": "/v",
        "CMAKE_PREFIX_PATH": "/v",
        "VIRTUAL_ENV": "/v",
        "HOME": "/home/me",
    }


def test_children_keep_a_sourced_ros_behind_the_environment() -> None:
    parent = {
        "PATH": "/v/bin:/opt/ros/jazzy/bin:/usr/bin",
        "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages",
        "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
    }
    child = environment.child_environment(Path("/v"), Mode.SOURCED, parent)
    assert child["PATH"] == "/v/bin:/opt/ros/jazzy/bin:/usr/bin"
    assert child["AMENT_PREFIX_PATH"] == "/v:/opt/ros/jazzy"
    assert child["PYTHONPATH"] == parent["PYTHONPATH"]


def make_venv(folder: Path, *, version: str, shebang: Path) -> Path:
    """The least an environment consists of, with the interpreter of this one."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys._base_executable)
    (folder / "bin" / "pip").write_text(f"#!{shebang}/bin/python\n")
    (folder / "pyvenv.cfg").write_text(
        f"include-system-site-packages = false\nversion = {version}\n"
    )
    return folder


def test_an_environment_that_works_is_kept(tmp_path: Path) -> None:
    venv = make_venv(tmp_path / "v", version=platform.python_version(), shebang=tmp_path / "v")
    python = environment.usable(venv, Mode.WHEELS)
    assert python is not None
    assert python.version == sys.version_info[:2]


def test_an_environment_is_made_anew_when_ros_comes_from_elsewhere_now(tmp_path: Path) -> None:
    venv = make_venv(tmp_path / "v", version=platform.python_version(), shebang=tmp_path / "v")
    assert environment.usable(venv, Mode.SOURCED) is None


def test_an_environment_is_made_anew_when_the_checkout_was_moved(tmp_path: Path) -> None:
    venv = make_venv(tmp_path / "v", version=platform.python_version(), shebang=Path("/old/.venv"))
    assert environment.usable(venv, Mode.WHEELS) is None


def test_an_environment_is_made_anew_when_the_system_changed_its_python(tmp_path: Path) -> None:
    venv = make_venv(tmp_path / "v", version="3.9.2", shebang=tmp_path / "v")
    assert environment.usable(venv, Mode.WHEELS) is None


def test_no_environment_and_a_broken_one_are_made_anew(tmp_path: Path) -> None:
    assert environment.usable(tmp_path / ".venv", Mode.WHEELS) is None
    (tmp_path / "pyvenv.cfg").write_text("version = 3.12.1\n")
    assert environment.usable(tmp_path, Mode.WHEELS) is None
