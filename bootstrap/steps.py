"""The steps of the set-up, in order. A step that is already done is skipped."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bootstrap import environment, system, workspace
from bootstrap.errors import SetupError
from bootstrap.host import Host, find_host
from bootstrap.report import Log
from bootstrap.stamps import Stamps, digest, digest_files

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the set-up. Returns the exit code."""
    argparse.ArgumentParser(prog="python3 -m bootstrap", description=__doc__).parse_args()
    venv = ROOT / ".venv"
    try:
        with setup_lock(ROOT / "log" / "setup.lock"):
            log = Log(ROOT / "log" / "setup.log")
            host = find_host(os.environ, sys.executable)
            prepare_system(host, log)
            host = prepare_venv(venv, host, log)
            stamps = Stamps(venv / "setup-stamps.json")
            key = prepare_packages(venv, host, stamps, log)
            prepare_workspace(venv, host, stamps, key, log)
    except SetupError as error:
        print(f"setup: {error}\n  fix: {error.fix}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run again to continue", file=sys.stderr)
        return 130
    return 0


@contextmanager
def setup_lock(lock: Path) -> Iterator[None]:
    """Hold the lock of this checkout; wait while another set-up holds it."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: waiting for another set-up of this checkout", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare_system(host: Host, log: Log) -> None:
    """Install the missing packages of the operating system."""
    missing = [need for need in system.needs(host, os.environ) if not need.present()]
    if missing:
        names = " ".join(sorted({need.package for need in missing}))
        with log.step(f"system packages {names}"):
            system.install_missing(missing, log)


def prepare_venv(venv: Path, host: Host, log: Log) -> Host:
    """Create the environment if there is no usable one. Returns the host with its Python."""
    python = environment.usable(venv, host.mode)
    if python is not None:
        return replace(host, python=python)
    with log.step(f"environment .venv, {host.python.name}, ROS from {host.mode.value}"):
        environment.create(venv, host, log)
    return host


def prepare_packages(venv: Path, host: Host, stamps: Stamps, log: Log) -> str:
    """Install the pinned requirements if they changed. Returns the hash that identifies them."""
    folder = ROOT / "bootstrap"
    files = [
        *environment.requirement_files(host.mode, folder),
        environment.no_deps_file(folder),
        folder / "constraints.txt",
        folder / "environment.py",
    ]
    key = digest(host.mode.value, host.python.name, digest_files(ROOT, files))
    if not stamps.holds("requirements", key):
        with log.step("Python packages, a few minutes"):
            stamps.drop("requirements")
            environment.install(venv, host, folder, log)
            stamps.set("requirements", key)
    return key


def prepare_workspace(venv: Path, host: Host, stamps: Stamps, key: str, log: Log) -> None:
    """Build the packages whose sources changed."""
    keys = {
        package: digest(key, digest_files(ROOT, [ROOT / path for path in package.sources]))
        for package in workspace.PACKAGES
    }
    changed = [package for package in keys if not stamps.holds(package.name, keys[package])]
    if not changed:
        return
    with log.step("colcon build of " + ", ".join(package.name for package in changed)):
        for package in changed:
            stamps.drop(package.name)
        workspace.build(ROOT, venv, host.mode, changed, log)
        workspace.verify(venv, host.mode, log)
        for package in changed:
            stamps.set(package.name, keys[package])
