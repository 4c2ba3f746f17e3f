"""Progress lines of the set-up for the user, and the log file with the details."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bootstrap.errors import SetupError

_TAIL_LINES = 15


class Log:
    """Writes the output of commands to a log file and one line per step to the terminal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w", encoding="utf-8")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print the title of a step and, at its end, how long it took."""
        print(f"setup: {title} ...", flush=True)
        self._write(f"== {title}\n")
        started = time.monotonic()
        yield
        print(f"setup: {title}: done in {time.monotonic() - started:.1f} s", flush=True)

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        """Run a command and log its output. Raises SetupError with the last lines."""
        self._write("$ " + " ".join(command) + "\n")
        start = self._file.tell()
        code = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=None if command[0] == "sudo" else subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
        self._file.seek(0, 2)
        if code != 0:
            raise SetupError(
                f"`{' '.join(command[:6])}` ended with exit code {code}\n{self._tail(start)}",
                fix=f"see {self.path}, remove the cause and run again",
            )

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def _tail(self, start: int) -> str:
        with self.path.open(encoding="utf-8", errors="replace") as file:
            file.seek(start)
            lines = file.read().splitlines()
        return "\n".join("  | " + line for line in lines[-_TAIL_LINES:])
