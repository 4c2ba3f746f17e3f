"""The output of the processes, kept in a file."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType

from pi0_ros.graph.options import GraphError

_TAIL_LINES = 15


def make_folder(path: Path) -> None:
    """Make the folder for what a program writes. Raises :class:`GraphError` if it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GraphError(f"{path} cannot be written to: {error.strerror}") from error


class Log:
    """Takes lines of output as a supervisor hands them on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8")
        self._last: deque[str] = deque(maxlen=_TAIL_LINES)

    def __call__(self, name: str, text: str) -> None:
        """Keep one line."""
        line = f"[{name}] {text}"
        self._last.append(line)
        self._file.write(line + "\n")
        self._file.flush()

    def tail(self) -> str:
        """The last lines, and where all of them are."""
        lines = "\n".join(f"  {line}" for line in self._last)
        return f"{lines}\nThe whole log: {self._path}"

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
