"""``pi0 record`` at a terminal: keys become requests to the recorder; the screen is live."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.task import Future
from rich.live import Live

from pi0_msgs.srv import StopEpisode
from pi0_ros.clients.record.link import ANSWER_S, RecorderLink
from pi0_ros.clients.record.process import OwnRecorder
from pi0_ros.clients.record.screen import ConsoleView, draw
from pi0_ros.system.keys import END_OF_INPUT, KeyReader, without_special_keys

_SPIN_S = 0.05
_DRAW_S = 0.2
# A recorder that writes an episode still reports twice a second.
_SILENT_S = 5.0
_ESCAPE = "\x1b"
_OUTCOMES = {
    StopEpisode.Request.UNMARKED: "unmarked",
    StopEpisode.Request.SUCCEEDED: "succeeded",
    StopEpisode.Request.FAILED: "failed",
}


class Console:
    """One session of an operator."""

    def __init__(self, link: RecorderLink, own: OwnRecorder, task: str, notes: str) -> None:
        self._link = link
        self._own = own
        self._task = task
        self._notes = notes
        self._log: list[str] = []
        self._tally: Counter[str] = Counter()
        self._typing: str | None = None
        self._asked: tuple[Future[Any], bool | None, int | None] | None = None
        self._answered_s = 0.0
        self._expected: bool | None = None  # whether an episode runs, by the last answer
        self._typed_ahead = ""
        self._whole = True
        self._leaving = False
        self._done = False

    @property
    def recording(self) -> bool:
        """Whether an episode runs."""
        status = self._link.status
        return status is not None and status.state == status.RECORDING

    def run(self) -> int:
        """Run until q; return exit code 1 if an episode could not be recorded completely."""
        with KeyReader(sys.stdin.fileno()) as keys, Live(screen=True, auto_refresh=False) as live:
            drawn_s = 0.0
            while not self._done:
                self._link.spin(_SPIN_S)
                self._take_answer()
                pressed = without_special_keys(keys.read())
                self._typed_ahead += pressed
                self._handle_typed()
                if self._own.ended:
                    break
                if pressed or time.monotonic() - drawn_s > _DRAW_S:
                    drawn_s = time.monotonic()
                    live.update(draw(self._link.status, self.view()), refresh=True)
        return self._print_result()

    def view(self) -> ConsoleView:
        """What the screen shows beside the status."""
        return ConsoleView(
            task=self._task,
            log=tuple(self._log),
            typing=self._typing,
            tally=tuple((outcome, self._tally[outcome]) for outcome in _OUTCOMES.values()),
            silent_s=time.monotonic() - self._link.heard_s,
        )

    def _handle_typed(self) -> None:
        """Handle typed keys, as soon as the state that they refer to is known."""
        if self._asked is not None and time.monotonic() - self._link.heard_s > _SILENT_S:
            self._asked = None
            self._say("the recorder does not answer; q quits")
        while self._typed_ahead and not self._done:
            if self._asked is not None or not self._up_to_date():
                return
            key, self._typed_ahead = self._typed_ahead[0], self._typed_ahead[1:]
            self.press(key)

    def _up_to_date(self) -> bool:
        """Whether the status agrees with the last answer, or had enough time to."""
        late = time.monotonic() - self._answered_s > _SILENT_S
        return self._expected is None or self.recording == self._expected or late

    def press(self, key: str) -> None:
        """Handle one key."""
        if self._typing is not None:
            self._type(key)
            return
        leaving, self._leaving = self._leaving, False
        if key in ("q", END_OF_INPUT):
            self._quit(leaving)
        elif not self.recording:
            if key in (" ", "\n", "\r"):
                self._ask(self._link.start(self._task, self._notes), True)
        elif key == "i":
            self._typing = ""
        elif key in _REQUESTS:
            request, runs_then, outcome = _REQUESTS[key]
            self._ask(request(self._link), runs_then, outcome)

    def _quit(self, again: bool) -> None:
        if self.recording and not again:
            self._leaving = True
            self._say("an episode is being recorded: end it by s, f or d; q keeps it and quits")
            return
        if self.recording:
            asked = self._link.stop(StopEpisode.Request.UNMARKED)
            self._ask(asked, False, StopEpisode.Request.UNMARKED)
            self._link.await_(asked.done, ANSWER_S)
            self._take_answer()
        self._done = True

    def _type(self, key: str) -> None:
        assert self._typing is not None
        if key == _ESCAPE:
            self._typing = None
        elif key in ("\n", "\r"):
            text, self._typing = self._typing.strip(), None
            if text:
                self._ask(self._link.instruct(text), None)
        elif key in ("\x7f", "\b"):
            self._typing = self._typing[:-1]
        elif key.isprintable():
            self._typing += key

    def _ask(self, asked: Future[Any], runs_then: bool | None, outcome: int | None = None) -> None:
        """Wait for an answer; ``runs_then`` says whether an episode runs after a success."""
        self._asked = asked, runs_then, outcome

    def _take_answer(self) -> None:
        if self._asked is None or not self._asked[0].done():
            return
        (asked, runs_then, outcome), self._asked = self._asked, None
        answer: Any = asked.result()
        self._answered_s = time.monotonic()
        self._expected = runs_then if answer.success else None
        self._say(answer.message)
        for problem in getattr(answer, "problems", ()):
            self._say(f"  - {problem}")
        if outcome is not None and answer.path:
            self._whole = self._whole and answer.success
            if answer.success:
                self._tally[_OUTCOMES[outcome]] += 1

    def _say(self, text: str) -> None:
        if self._log[-1:] != [text]:
            self._log.append(text)
        del self._log[:-100]

    def _print_result(self) -> int:
        """Print what was recorded, after the screen is closed; return the exit code."""
        from rich.console import Console as Terminal

        terminal = Terminal(highlight=False)
        if self._own.ended:
            terminal.print("\n".join(self._own.lines()), markup=False)
            return 1
        kept = ", ".join(f"{n} {outcome}" for outcome, n in self._tally.items()) or "none"
        terminal.print(f"episodes kept: {kept}", markup=False)
        return 0 if self._whole else 1


_Request = tuple[Callable[[RecorderLink], Any], bool, int | None]


def _stop(outcome: int) -> _Request:
    return lambda link: link.stop(outcome), False, outcome


#: Keys while recording: the request, whether an episode runs afterwards, the outcome.
_REQUESTS: dict[str, _Request] = {
    **dict.fromkeys((" ", "\n", "\r"), _stop(StopEpisode.Request.UNMARKED)),
    "s": _stop(StopEpisode.Request.SUCCEEDED),
    "f": _stop(StopEpisode.Request.FAILED),
    "d": (lambda link: link.discard(), False, None),
    "r": (lambda link: link.rerecord(), True, None),
}
