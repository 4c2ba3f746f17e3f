"""``pi0 record --episodes N``: recording without an operator at the keyboard."""

from __future__ import annotations

from typing import Any, TextIO

from rclpy.task import Future

from pi0_msgs.srv import StopEpisode
from pi0_ros.clients.record.link import ANSWER_S, RecorderLink
from pi0_ros.clients.record.request import RecordingRequest

_READY_S = 60.0
OUTCOMES = {
    "unmarked": StopEpisode.Request.UNMARKED,
    "succeeded": StopEpisode.Request.SUCCEEDED,
    "failed": StopEpisode.Request.FAILED,
}


class Script:
    """Records the requested episodes and prints a line about each."""

    def __init__(self, link: RecorderLink, request: RecordingRequest, output: TextIO) -> None:
        self._link = link
        self._request = request
        self._output = output

    def run(self) -> int:
        """Return 0 if every episode is complete; stop at the first one that is not."""
        for i in range(self._request.episodes):
            if not self._episode(i + 1):
                return 1
        return 0

    def _episode(self, number: int) -> bool:
        link, request = self._link, self._request
        if not link.await_(lambda: link.status is not None and link.status.ready, _READY_S):
            reason = link.status.reason if link.status else "no status"
            return self._say(number, f"not ready within {_READY_S:g} s: {reason}")
        started = self._answer(link.start(request.task, request.notes))
        if started is None or not started.success:
            return self._say(number, started.message if started else "no answer")
        whole = link.await_(self._time_is_up, request.duration_s * 10 + ANSWER_S)
        if not whole or (link.status is not None and link.status.state != link.status.RECORDING):
            return self._say(number, link.status.reason if link.status else "no status")
        stopped = self._answer(link.stop(OUTCOMES[request.outcome]))
        if stopped is None:
            return self._say(number, "no answer; the episode may still be written")
        self._say(number, stopped.message)
        for problem in stopped.problems:
            self._output.write(f"  - {problem}\n")
        return bool(stopped.success)

    def _time_is_up(self) -> bool:
        status = self._link.status
        if status is None:
            return False
        ended = status.state == status.FAILED
        return ended or status.elapsed_s >= self._request.duration_s

    def _answer(self, asked: Future[Any]) -> Any:
        self._link.await_(asked.done, ANSWER_S)
        return asked.result() if asked.done() else None

    def _say(self, number: int, text: str) -> bool:
        """Print one line and return False, so that a failing caller can return it."""
        self._output.write(f"episode {number} of {self._request.episodes}: {text}\n")
        self._output.flush()
        return False
