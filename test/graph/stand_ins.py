"""Small stand-in programs, installed in a prefix of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pi0_ros.graph.declaration import Process

_HEAD = f"#!{sys.executable} -S\n"

#: Prints which signal stopped it, and ends.
POLITE = """
import signal, sys
stops = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, stops)
print("ready", flush=True)
print("stopped by", signal.Signals(signal.sigwait(stops)).name, flush=True)
"""

#: Ignores every signal but SIGKILL.
STUBBORN = """
import os, signal
def ignore(number, frame):
    # Not print: the next signal may come while its buffer is being written.
    os.write(1, f"ignored {signal.Signals(number).name}\\n".encode())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, ignore)
print("ready", flush=True)
while True:
    signal.pause()
"""


class Prefix:
    """An ament prefix with programs that the test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        index = root / "share" / "ament_index" / "resource_index" / "packages"
        index.mkdir(parents=True)
        (index / "stand_ins").touch()
        self.environment = {**os.environ, "AMENT_PREFIX_PATH": str(root)}

    def program(self, name: str, source: str, package: str = "stand_ins") -> Path:
        """Install a Python program."""
        path = self.root / "lib" / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_HEAD + source)
        path.chmod(0o755)
        return path

    def process(
        self, name: str, source: str = POLITE, *, stop_order: int = 0, **more: object
    ) -> Process:
        """Install a program and declare a process of it."""
        self.program(name, source)
        fields = {"namespace": "/", "parameters": {}, "environment": {}, **more}
        return Process(
            name=name, package="stand_ins", executable=name, stop_order=stop_order, **fields
        )
