"""Single keys from a terminal, which is restored afterwards."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi0_ros.system.keys import KeyReader, without_special_keys


@pytest.fixture
def keyboard_and_terminal() -> Iterator[tuple[int, int]]:
    keyboard, terminal = pty.openpty()
    yield keyboard, terminal
    os.close(keyboard)
    os.close(terminal)


def test_keys_are_read_at_once_and_the_terminal_is_restored(
    keyboard_and_terminal: tuple[int, int],
) -> None:
    keyboard, terminal = keyboard_and_terminal
    before = termios.tcgetattr(terminal)
    with KeyReader(terminal) as reader:
        assert termios.tcgetattr(terminal)[3] != before[3]
        assert reader.read() == ""
        os.write(keyboard, b"w\x1b[B")
        assert reader.read(10.0) == "w\x1b[B"
    assert termios.tcgetattr(terminal) == before
    reader.restore()


def test_keys_typed_before_are_not_read(keyboard_and_terminal: tuple[int, int]) -> None:
    keyboard, terminal = keyboard_and_terminal
    os.write(keyboard, b"q\n")
    with KeyReader(terminal) as reader:
        os.write(keyboard, b"w")
        assert reader.read(10.0) == "w"


def test_an_input_that_is_no_terminal_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(ValueError, match="needs a terminal"):
        KeyReader(file.fileno())


@pytest.mark.parametrize(
    ("typed", "kept"), [("sq", "sq"), ("\x1b", "\x1b"), ("\x1b[A", ""), ("", "")]
)
def test_escape_sequences_are_left_out(typed: str, kept: str) -> None:
    assert without_special_keys(typed) == kept
