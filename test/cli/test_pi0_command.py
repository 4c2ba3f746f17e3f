"""The `pi0` command: its verbs, its refusals and its fast start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pi0_ros import __version__
from pi0_ros.cli.main import VERBS, main
from pi0_ros.graph.arguments import ARGUMENTS


def output_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    text = output_of(capsys, "--help")
    assert all(f"\n    {verb}" in text for verb in VERBS)


def test_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert output_of(capsys, "--version") == f"pi0 {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert f"usage: pi0 {verb}" in output_of(capsys, verb, "--help")


def test_up_has_an_option_for_every_argument_of_the_graph(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = output_of(capsys, "up", "--help")
    for argument in ARGUMENTS:
        option = f"--{argument.name.replace('_', '-')}"
        assert (argument.name.upper() if argument.name == "embodiment" else option) in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up", "ur5", "--checkpoint", "/"], "pi0: unknown embodiment 'ur5'; did you mean 'ur5e'?"),
        (["up", "ur5e", "--checkpoint", "/no"], "pi0: checkpoint '/no' does not exist"),
        (
            ["up", "ur5e", "--hardware", "mujoco", "--checkpoint", "/"],
            "pi0: no MuJoCo simulation of embodiment 'ur5e'",
        ),
        (["up", "ur5e", "--checkpoint", "/", "--seed", "x"], "pi0: seed is 'x'; give a whole"),
        (["checkpoint", "create", "ur5", "--out", "/no"], "pi0: unknown embodiment 'ur5'"),
    ],
)
def test_a_refused_input_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_a_file_in_the_place_of_a_folder_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    assert main(["checkpoint", "create", "ur5e", "--out", str(tmp_path / "taken")]) == 2
    assert capsys.readouterr().err == f"pi0: {tmp_path}/taken: File exists\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["serve", "--checkpoint", "c", "--embodiment", "ur5e", "--port", "65536"], "is no port"),
        (["checkpoint", "create", "ur5e", "--out", "c", "--seed", str(2**63)], "is not within 0"),
        (["dataset", "convert", "b", "--out", "d", "--size", "0"], "'0' is not a size"),
        (["dataset", "convert", "b", "--out", "d", "--jobs", "²"], "'²' is not above zero"),
    ],
)
def test_a_number_out_of_range_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["record", "ur5e", "--task", "t", "--out", "D"],
        ["dataset", "convert", "b", "--out", "d", "--job", "2"],
    ],
)
def test_an_option_is_not_taken_for_a_longer_one(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert f"unrecognized arguments: {' '.join(words[-2:])}" in capsys.readouterr().err


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["embodiments", "list"], ["--help"]])
def test_ends_quietly_when_its_output_pipe_is_closed(words: list[str], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "pi0_ros.cli.main", *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        text=True,
        check=False,
    )
    os.close(writer)
    assert ended.stderr == ""
    # Whether argparse reports a failed write of its help depends on the release of Python.
    assert ended.returncode in ((0, 141) if words == ["--help"] else (141,))


def test_a_pipe_that_breaks_elsewhere_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr("pi0_ros.cli.up.run", broken)
    with pytest.raises(BrokenPipeError):
        main(["up", "ur5e", "--checkpoint", "/"])


def test_an_interrupt_is_one_line_and_exit_code_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("pi0_ros.cli.up.run", interrupted)
    assert main(["up", "ur5e", "--checkpoint", "/"]) == 130
    assert capsys.readouterr().err == "pi0: interrupted\n"


def test_a_program_that_is_not_installed_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    assert main(["up", "ur5e", "--checkpoint", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "pi0: program 'mock_robot' of package 'pi0_bringup' is not installed" in error


def test_a_bug_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise ValueError("not meant for users")

    monkeypatch.setattr("pi0_ros.cli.up.run", broken)
    with pytest.raises(ValueError, match="not meant for users"):
        main(["up", "ur5e", "--checkpoint", "/"])


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from pi0_ros.cli.main import build_parser\n"
        "build_parser('up').format_help()\n"
        "heavy = {'numpy', 'pydantic', 'torch', 'rclpy'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
