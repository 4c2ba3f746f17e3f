"""The error of the set-up."""

from __future__ import annotations


class SetupError(Exception):
    """The set-up cannot continue. ``fix`` tells the user what to do."""

    def __init__(self, problem: str, *, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix
