"""The progress of a collection on the terminal, and its summary."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TextIO

from pi0_ros.system.terminal import TerminalLine

if TYPE_CHECKING:
    from pi0_bringup.collecting.collector import Demonstration

_BAR = 24
# On a terminal a status line is rewritten; elsewhere only the line of each episode is written.
_TERMINAL_PERIOD_S = 0.2


class Progress:
    """Writes a line for every episode and, on a terminal, a status line that is rewritten."""

    def __init__(self, stream: TextIO, episodes: int) -> None:
        self._line = TerminalLine(stream, _TERMINAL_PERIOD_S, elsewhere_s=math.inf)
        self.say = self._line.write_line
        self._episodes = episodes
        self._begin_s = time.monotonic()
        self._kept = 0
        self._succeeded = 0

    def kept(self, done: Demonstration) -> None:
        """Write the line of an episode."""
        self._kept += 1
        self._succeeded += done.succeeded
        self.say(episode_line(done, self._episodes))

    def tell(self, activity: str) -> None:
        """Rewrite the status line, if it is time."""
        self._line.update(lambda: self._status_line(activity))

    def _status_line(self, activity: str) -> str:
        done = round(_BAR * self._kept / self._episodes)
        line = f"[{'=' * done}{' ' * (_BAR - done)}] {self._kept}/{self._episodes}"
        return line + f"  {self._succeeded} succeeded  {self._left()}  {activity}"

    def _left(self) -> str:
        if not self._kept:
            return "    "
        each_s = (time.monotonic() - self._begin_s) / self._kept
        left_s = round(each_s * (self._episodes - self._kept))
        return f"{left_s // 60}:{left_s % 60:02d} left"


def episode_line(done: Demonstration, episodes: int) -> str:
    """One episode in one line of text."""
    reached = "" if done.success_s is None else f" after {done.success_s:.1f} s"
    verdict = "succeeded" if done.succeeded else "FAILED"
    gate = "" if done.accepted else f"; not accepted: {'; '.join(done.problems)}"
    reward = f"reward {done.best_reward} of {done.max_reward}{reached}"
    return (
        f"{done.number:3d}/{episodes}  seed {done.seed}  {reward}  {done.duration_s:.1f} s"
        f"  {verdict}  {done.path}{gate}"
    )


def summary_lines(found: list[Demonstration], wall_s: float) -> list[str]:
    """The whole collection in a few lines."""
    count = len(found)
    succeeded = sum(d.succeeded for d in found)
    accepted = sum(d.accepted for d in found)
    motion_s = sum(d.duration_s for d in found)
    failed = [str(d.seed) for d in found if not d.succeeded]
    rows = [
        ("episodes kept", str(count)),
        ("succeeded by the scene's reward", f"{succeeded} ({succeeded / max(count, 1):.0%})"),
        ("seeds that failed", ", ".join(failed) or "none"),
        ("accepted by the quality gate", str(accepted)),
        ("demonstrated", f"{motion_s:.0f} s in {wall_s:.0f} s"),
    ]
    width = max(len(label) for label, _ in rows)
    return [f"  {label:<{width}}  {value}" for label, value in rows]
