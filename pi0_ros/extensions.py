"""Tables of things that other packages may add to: the built-in entries and an entry-point group.

An entry point names an instance or a class without constructor arguments. It is loaded when its
name is asked for the first time, so that a broken package harms only those who use it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

EntryT = TypeVar("EntryT")


class UnknownEntryError(ValueError):
    """A name without an entry; ``reason`` names the known ones and the entry-point group."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} {reason}")
        self.reason = reason


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'elbow'?`` if a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class ExtensionTable(Generic[EntryT]):
    """Entries by name. ``what`` is the noun of messages, such as ``controller kind``.

    ``group`` is the entry-point group in which a package offers more; each entry point has the
    name of its entry. ``built_in`` entries are given as entry points are, "module:attribute", so
    that their names are known without an import; :meth:`add` adds one that is imported already. A
    built-in entry cannot be replaced. A table whose ``base`` is ``type`` holds classes.
    """

    def __init__(
        self,
        what: str,
        group: str,
        base: type[EntryT],
        built_in: Mapping[str, str] | None = None,
    ) -> None:
        self._what, self._base = what, base
        self.group = group
        self._built_in = {n: EntryPoint(n, value, group) for n, value in (built_in or {}).items()}
        self._entries: dict[str, EntryT] = {}
        self._loaded_names: set[str] = set()

    def add(self, name: str, entry: EntryT) -> None:
        """Add a built-in entry."""
        self._entries[name] = entry

    def refresh(self) -> None:
        """Look at the installed packages again."""
        vars(self).pop("_offered", None)
        for name in self._loaded_names:
            self._entries.pop(name, None)
        self._loaded_names.clear()

    @cached_property
    def _offered(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def names(self) -> tuple[str, ...]:
        """Every known name, the built-in ones first. Loads nothing."""
        return tuple(dict.fromkeys((*self._built_in, *self._entries, *self._offered)))

    def entries(self) -> tuple[EntryT, ...]:
        """Every entry that can be loaded."""
        found = []
        for name in self.names():
            with suppress(UnknownEntryError):
                found.append(self.get(name))
        return tuple(found)

    def get(self, name: str) -> EntryT:
        """The entry of this name. Raises :class:`UnknownEntryError`."""
        try:
            return self._entries[name]
        except KeyError:
            pass
        point = self._built_in.get(name) or self._offered.get(name)
        if point is None:
            raise UnknownEntryError(name, self._unknown(name))
        self._entries[name] = entry = self._load(point)
        self._loaded_names.add(name)
        return entry

    def _unknown(self, name: str) -> str:
        names = self.names()
        return (
            f"is not a known {self._what}; use one of {', '.join(names)}, or install the package "
            f"that adds it (entry-point group {self.group!r}){did_you_mean(name, names)}"
        )

    def _load(self, point: EntryPoint) -> EntryT:
        try:
            found = point.load()
            is_entry = self._base is type or not isinstance(found, type)
            entry = found if is_entry else found()
        except Exception as error:
            raise UnknownEntryError(
                point.name,
                f"is a {self._what} whose package fails to load: {point.value}: {error!r}",
            ) from error
        if not isinstance(entry, self._base):
            raise UnknownEntryError(
                point.name,
                f"is a {self._what} by its package, but {point.value} is no "
                f"{self._base.__module__}.{self._base.__qualname__}; derive it from that class",
            )
        return entry


#: Chunk strategies: subclasses of :class:`pi0_ros.policy.strategy.base.Strategy`.
STRATEGIES: ExtensionTable[type] = ExtensionTable(
    "chunk strategy",
    "pi0_ros.strategies",
    type,
    {
        "sequential": "pi0_ros.policy.strategy.sequential:Sequential",
        "temporal_ensemble": "pi0_ros.policy.strategy.ensemble:TemporalEnsemble",
        "rtc": "pi0_ros.policy.strategy.rtc:RealTimeChunking",
    },
)
