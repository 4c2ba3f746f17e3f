"""The one error of the set-up."""

from __future__ import annotations


class SetupError(Exception):
    """The set-up cannot go on. ``fix`` is what the user can do about it."""

    def __init__(self, problem: str, *, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix
