"""System packages: found by what they provide, and named when they cannot be installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import system
from bootstrap.errors import SetupError
from bootstrap.host import Host, Interpreter, Mode
from bootstrap.report import Log

MISSING = [
    system.Need("C++ compiler", "g++", lambda: False),
    system.Need("libEGL.so.1", "libegl1", lambda: False),
]


def make_host(mode: Mode, include: Path, *, has_venv: bool = True) -> Host:
    python = Interpreter(
        executable="/usr/bin/python3",
        version=(3, 12),
        machine="x86_64",
        include=include,
        has_venv=has_venv,
    )
    return Host(mode=mode, python=python)


def needed(host: Host, environment: dict[str, str] | None = None) -> dict[str, bool]:
    return {need.package: need.present() for need in system.needs(host, environment or {})}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "setup.log")


def test_headers_are_looked_for_where_this_interpreter_has_them(tmp_path: Path) -> None:
    host = make_host(Mode.WHEELS, tmp_path)
    assert needed(host)["python3.12-dev"] is False
    (tmp_path / "Python.h").touch()
    assert needed(host)["python3.12-dev"] is True


def test_debian_python_without_its_venv_package_is_noticed(tmp_path: Path) -> None:
    assert needed(make_host(Mode.WHEELS, tmp_path, has_venv=False))["python3.12-venv"] is False


def test_a_sourced_ros_is_asked_for_its_build_packages(tmp_path: Path) -> None:
    (tmp_path / "share" / "ament_cmake").mkdir(parents=True)
    found = needed(make_host(Mode.SOURCED, tmp_path), {"AMENT_PREFIX_PATH": str(tmp_path)})
    assert found["ros-jazzy-ament-cmake"] is True
    assert found["ros-jazzy-rosidl-default-generators"] is False


def test_the_wheels_need_no_ros_packages(tmp_path: Path) -> None:
    assert not [name for name in needed(make_host(Mode.WHEELS, tmp_path)) if "ros" in name]


def test_a_missing_library_is_not_found() -> None:
    assert system.has_library("libc.so.6")
    assert not system.has_library("libno_such_library.so.7")


@pytest.mark.parametrize("driver", ["dri/swrast_dri.so", "libgallium-25.0.so"])
def test_both_layouts_of_mesa_count_as_a_driver(tmp_path: Path, driver: str) -> None:
    assert not system.has_gl_driver([tmp_path])
    (tmp_path / driver).parent.mkdir(exist_ok=True)
    (tmp_path / driver).touch()
    assert system.has_gl_driver([tmp_path])


def test_without_root_and_sudo_the_packages_and_the_line_are_named(
    monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setattr(system, "privilege", lambda: None)
    with pytest.raises(SetupError, match=r"C\+\+ compiler \(g\+\+\), libEGL.so.1 \(libegl1\)") as e:
        system.install_missing(MISSING, log)
    assert e.value.fix == ("run as root: apt-get install --yes --no-install-recommends g++ libegl1")


def test_a_failing_apt_names_the_packages_and_the_last_lines(
    monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setattr(system, "privilege", lambda: ["sh", "-c", "echo no network; exit 100"])
    monkeypatch.setattr(system, "has_command", lambda *names: True)
    with pytest.raises(SetupError, match=r"(?s)libegl1.*no network") as caught:
        system.install_missing(MISSING, log)
    assert "apt-get install" in caught.value.fix


def test_apt_runs_update_then_install(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(log, "run", lambda command, **_: calls.append(list(command)))
    monkeypatch.setattr(system, "privilege", lambda: ["sudo"])
    monkeypatch.setattr(system, "has_command", lambda *names: True)
    system.install_missing(MISSING, log)
    assert calls[0] == ["sudo", "apt-get", "update"]
    assert calls[1][:3] == ["sudo", "apt-get", "install"]
    assert calls[1][-2:] == ["g++", "libegl1"]
