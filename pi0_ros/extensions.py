"""Tables of things that other packages may add to: the built-in entries and an entry-point group.

An entry point names an instance or a class without constructor arguments. It is loaded when its
name is asked for the first time, so that a broken package harms only those who use it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

EntryT = TypeVar("EntryT")


class UnknownEntryError(ValueError):
    """A name that is in no table; the message names the known ones and the entry-point group."""


class ExtensionTable(Generic[EntryT]):
    """Entries by name. ``what`` is the noun of messages, such as ``controller kind``.

    ``group`` is the entry-point group in which a package offers more; each entry point has the
    name of its entry. A built-in entry cannot be replaced.
    """

    def __init__(self, what: str, group: str, base: type[EntryT]) -> None:
        self._what, self._base = what, base
        self.group = group
        self._entries: dict[str, EntryT] = {}

    def add(self, name: str, entry: EntryT) -> None:
        """Add a built-in entry."""
        self._entries[name] = entry

    def refresh(self) -> None:
        """Look at the installed packages again."""
        vars(self).pop("_offered", None)

    @cached_property
    def _offered(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def names(self) -> tuple[str, ...]:
        """Every known name, the built-in ones first. Loads nothing."""
        return tuple(dict.fromkeys((*self._entries, *self._offered)))

    def entries(self) -> tuple[EntryT, ...]:
        """Every entry that can be loaded."""
        return tuple(self.get(name) for name in self.names())

    def get(self, name: str) -> EntryT:
        """The entry of this name. Raises :class:`UnknownEntryError`."""
        try:
            return self._entries[name]
        except KeyError:
            pass
        point = self._offered.get(name)
        if point is None:
            raise UnknownEntryError(self.unknown(name))
        self._entries[name] = entry = self._loaded(point)
        return entry

    def unknown(self, name: str, known: Iterable[str] | None = None) -> str:
        """What to say about a name that is not one of ``known``."""
        names = list(self.names() if known is None else known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return (
            f"is not a known {self._what}; use one of {', '.join(names)}, or install the package "
            f"that adds it (entry-point group {self.group!r}){hint}"
        )

    def _loaded(self, point: EntryPoint) -> EntryT:
        try:
            found = point.load()
            entry = found() if isinstance(found, type) else found
        except Exception as error:
            raise UnknownEntryError(
                f"is a {self._what} whose package fails to load: {point.value}: {error!r}"
            ) from error
        if not isinstance(entry, self._base):
            raise UnknownEntryError(
                f"is a {self._what} by its package, but {point.value} is no "
                f"{self._base.__module__}.{self._base.__qualname__}; derive it from that class"
            )
        return entry
