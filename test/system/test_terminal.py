"""The line that says how far something is."""

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


def _told(stream: io.StringIO, texts: list[str], apart_s: float) -> str:
    clock = Clock()
    with TerminalLine(stream, 0.5, clock) as line:
        for text in texts:
            line.update(lambda text=text: text)
            clock.now_s += apart_s
    return stream.getvalue()


def test_on_a_terminal_the_line_is_rewritten_and_what_it_leaves_is_blank():
    assert _told(Terminal(), ["12 of 12", "done"], 0.5) == "\r12 of 12\rdone    \n"


def test_between_two_periods_nothing_is_written_and_no_text_is_made():
    assert _told(Terminal(), ["a", "b", "c"], 0.25) == "\ra\rc\n"


def test_elsewhere_every_line_stays_and_they_are_far_apart():
    assert _told(io.StringIO(), ["a", "b", "c", "d"], 2.5) == "a\nc\n"


def test_where_nothing_was_said_nothing_is_ended():
    assert _told(Terminal(), [], 1.0) == ""


def test_a_line_that_stays_takes_the_place_of_the_rewritten_one():
    stream = Terminal()
    line = TerminalLine(stream, 0.5, Clock())
    line.update(lambda: "1 of 2")
    line.write_line("one")
    line.write_line("two")
    assert stream.getvalue() == "\r1 of 2\r      \rone\ntwo\n"


def test_elsewhere_there_may_be_no_line_but_those_that_stay():
    stream = io.StringIO()
    line = TerminalLine(stream, 0.5, elsewhere_s=math.inf)
    line.update(lambda: "1 of 2")
    line.write_line("one")
    assert stream.getvalue() == "one\n"
