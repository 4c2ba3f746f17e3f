"""The report, the Rerun recording, and their commands."""

from __future__ import annotations

import builtins
import importlib.util
import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from synthetic import SyntheticEpisode, write_bag

from pi0_ros.cli.main import main
from pi0_ros.dataset import Dataset, DatasetError
from pi0_ros.dataset.convert.clouds import export_clouds
from pi0_ros.dataset.format.writer import STAGING
from pi0_ros.dataset.view.summary import clock, joint_ranges
from pi0_ros.dataset.view.viewer import show_episodes


def test_the_page_is_one_file_with_every_episode(made: Path, tmp_path: Path) -> None:
    assert main(["dataset", "show", str(made / "set"), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    for text in ("stack the cups → put them away", "wipe the table", "shoulder_pan"):
        assert text in page
    assert page.count("<svg") == 4 and page.count("data:image/jpeg") == 3 * 2 * 3
    assert 'src="http' not in page and "<script" not in page
    assert Image.open(tmp_path / "report.png").width > 900


def test_joint_ranges_are_held_against_the_limits(made: Path) -> None:
    ranges = joint_ranges(Dataset.open(made / "set"), "action")
    assert [each.name for each in ranges][-1] == "gripper"
    assert all(each.lower <= each.minimum <= each.low <= each.high for each in ranges)
    assert not any(each.outside for each in ranges)


def test_writes_a_rerun_recording(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    file = tmp_path / "take.rrd"
    assert main(["dataset", "show", str(made / "set"), "--episode", "1", "--rrd", str(file)]) == 0
    assert file.read_bytes()[:3] == b"RRF"


def test_without_rerun_says_what_to_do(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_rerun(name: str, *rest: object, **named: object) -> object:
        if name == "rerun":
            raise ImportError(name)
        return real(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_rerun)
    with pytest.raises(DatasetError, match="rerun-sdk is not installed"):
        show_episodes(made / "set", (0,), Path("x.rrd"))


def test_without_sensor_msgs_py_says_where_clouds_are_read(made: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("sensor_msgs_py"):
        pytest.skip("it is installed")
    with pytest.raises(DatasetError, match="sensor_msgs_py is not installed"):
        export_clouds(made / "a", "cloud", tmp_path)


def test_the_command_line_converts_checks_and_edits(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    words = ["dataset", "convert", str(made / "a"), str(made / "b"), "--out", str(out)]
    assert main([*words, "--size", "32", "--codec", "images", "--jobs", "1"]) == 0
    assert "2 episodes" in capsys.readouterr().out
    assert main(["dataset", "split", str(out), "--out", str(tmp_path), "x=0", "y=1"]) == 0
    assert (
        main(
            [
                "dataset",
                "merge",
                str(tmp_path / "y"),
                str(tmp_path / "x"),
                "--out",
                str(tmp_path / "z"),
            ]
        )
        == 0
    )
    assert main(["dataset", "delete", str(tmp_path / "z"), "--episodes", "0"]) == 0
    assert main(["dataset", "stats", str(tmp_path / "z")]) == 0
    assert main(["dataset", "validate", str(tmp_path / "z")]) == 0
    capsys.readouterr()
    assert main(["dataset", "info", str(tmp_path / "z")]) == 0
    assert "stack the cups; put them away" in capsys.readouterr().out
    assert main(["dataset", "delete", str(out), "--episodes", "7"]) == 2
    assert "no episode 7; it has 2" in capsys.readouterr().err


def test_a_part_named_twice_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["dataset", "split", str(made / "set"), "--out", str(tmp_path / "parts")]
    assert main([*words, "x=0", "x=1"]) == 2
    assert "x is given twice" in capsys.readouterr().err
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("verb", ["convert", "merge", "to-bags", "delete"])
def test_a_full_disk_is_said_in_a_line_and_leaves_everything_as_it_was(
    dataset: Path,
    made: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    verb: str,
) -> None:
    bag = write_bag(
        tmp_path_factory.mktemp("bags"), "new", SyntheticEpisode(duration_s=0.4, seed=8)
    )
    words = {
        "convert": [str(bag), "--size=64", "--jobs=1"],
        "merge": [str(dataset), str(made / "set")],
        "to-bags": [str(dataset)],
        "delete": [str(dataset), "--episodes=1"],
    }[verb]
    out = {"convert": [f"--out={dataset}"], "delete": []}.get(verb, [f"--out={dataset}-out"])
    before = content(dataset)
    with room(6_000):
        assert main(["dataset", verb, *words, *out]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("pi0:")] == said[-1:]
    assert "File too large" in said[-1]
    shutil.rmtree(dataset / STAGING, ignore_errors=True)
    assert content(dataset) == before
    assert {each.name for each in dataset.parent.iterdir()} <= {"set", "set-out"}
    assert not list(dataset.parent.glob("set-out/*"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextmanager
def room(largest: int) -> Iterator[None]:
    """Limit the file size, to imitate a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("verb", ["show", "stats", "to-bags"])
def test_a_dataset_without_an_episode_is_one_line(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    info = json.loads((dataset / "meta" / "info.json").read_text())
    info |= {"total_episodes": 0, "total_frames": 0}
    (dataset / "meta" / "info.json").write_text(json.dumps(info))
    for folder in ("data", "videos", "meta/episodes"):
        shutil.rmtree(dataset / folder)
    words = [] if verb == "stats" else ["--out", str(tmp_path / "out")]
    assert main(["dataset", verb, str(dataset), *words]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"pi0: {dataset}: has no episode; convert a bag into it first"


def test_says_lengths_as_a_person_does() -> None:
    assert [clock(s) for s in (4.25, 125, 7260)] == ["4.2 s", "2 min 05 s", "2 h 01 min"]
