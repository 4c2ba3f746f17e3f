"""Errors of embodiment files, and the problems they list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Place of a value in the file: keys and list indices from the root.
KeyPath = tuple["str | int", ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an embodiment file: where, and what with the fix."""

    path: KeyPath
    text: str


class EmbodimentError(ValueError):
    """An embodiment that cannot be used.

    ``problems`` holds one line each; the message is those lines joined.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class JointStateError(EmbodimentError):
    """A joint-state message that does not hold what the embodiment reads from it."""


def format_path(path: KeyPath) -> str:
    """Write a key path as ``state[0].dimensions.elbow.slots[1]``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key}" if text else key
    return text or "(whole file)"
