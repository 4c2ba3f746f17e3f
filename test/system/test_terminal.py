"""The line that shows progress."""

from __future__ import annotations

import io
import math

from pi0_ros.system.terminal import TerminalLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _written(stream: io.StringIO, texts: list[str], apart_s: float) -> str:
    clock = Clock()
    with TerminalLine(stream, 0.5, clock) as line:
        for text in texts:
            line.update(lambda text=text: text)
            clock.now_s += apart_s
    return stream.getvalue()


def test_on_a_terminal_the_line_is_rewritten_and_the_old_text_is_blanked():
    assert _written(Terminal(), ["12 of 12", "done"], 0.5) == "\r12 of 12\rdone    \n"


def test_within_a_period_nothing_is_written_and_no_text_is_made():
    assert _written(Terminal(), ["a", "b", "c"], 0.25) == "\ra\rc\n"


def test_on_another_stream_every_line_stays_and_they_are_far_apart():
    assert _written(io.StringIO(), ["a", "b", "c", "d"], 2.5) == "a\nc\n"


def test_without_an_update_no_line_is_ended():
    assert _written(Terminal(), [], 1.0) == ""


def test_a_permanent_line_replaces_the_progress_line():
    stream = Terminal()
    line = TerminalLine(stream, 0.5, Clock())
    line.update(lambda: "1 of 2")
    line.write_line("one")
    line.write_line("two")
    assert stream.getvalue() == "\r1 of 2\r      \rone\ntwo\n"


def test_on_another_stream_there_may_be_permanent_lines_only():
    stream = io.StringIO()
    line = TerminalLine(stream, 0.5, elsewhere_s=math.inf)
    line.update(lambda: "1 of 2")
    line.write_line("one")
    assert stream.getvalue() == "one\n"
