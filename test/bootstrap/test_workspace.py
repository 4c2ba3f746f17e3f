"""The three packages, what an earlier build left of them, and failing commands."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bootstrap import steps, workspace
from bootstrap.errors import SetupError
from bootstrap.report import Log

ROOT = Path(workspace.__file__).parents[1]


@pytest.mark.parametrize("package", workspace.PACKAGES, ids=lambda package: package.name)
def test_each_package_is_where_it_is_said_to_be(package: workspace.Package) -> None:
    manifest = ElementTree.parse(ROOT / package.folder / "package.xml").getroot()
    assert manifest.findtext("name") == package.name
    assert manifest.get("format") == "3"
    assert all((ROOT / source).exists() for source in package.sources)


def test_what_an_earlier_build_left_is_found(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.12/site-packages"
    ours = [
        site / "pi0_msgs",
        site / "pi0_msgs-0.1.0-py3.12.egg-info",
        tmp_path / "share/pi0_msgs",
        tmp_path / "lib/libpi0_msgs__rosidl_generator_c.so",
    ]
    others = [site / "numpy", site / "pi0_msgs_other", tmp_path / "lib/libstd_msgs__x.so"]
    for path in [*ours, *others]:
        path.mkdir(parents=True)
    assert workspace.installed_paths(tmp_path, "pi0_msgs") == sorted(ours)


def test_removing_an_absent_path_is_fine(tmp_path: Path) -> None:
    workspace.remove(tmp_path / "absent")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    workspace.remove(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_failing_command_shows_its_last_lines_and_the_log(tmp_path: Path) -> None:
    log = Log(tmp_path / "setup.log")
    with pytest.raises(SetupError, match=r"(?s)exit code 3\n.*\| line 29$") as caught:
        log.run(
            ["sh", "-c", "for i in $(seq 0 29); do echo line $i; done; exit 3"],
            environment=os.environ,
        )
    assert "line 14" not in str(caught.value)
    assert str(tmp_path / "setup.log") in caught.value.fix


def test_a_second_set_up_waits_for_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def flock(file: object, operation: int) -> None:
        calls.append(operation)
        if operation & steps.fcntl.LOCK_NB:
            raise BlockingIOError

    monkeypatch.setattr(steps.fcntl, "flock", flock)
    with steps.setup_lock(tmp_path / "log" / "setup.lock"):
        pass
    assert "waiting for another set-up" in capsys.readouterr().out
    assert calls == [steps.fcntl.LOCK_EX | steps.fcntl.LOCK_NB, steps.fcntl.LOCK_EX]
