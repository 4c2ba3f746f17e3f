"""The extension points: tables of named parts, ours and those of installed packages.

A package of your own adds a part with one file and one entry point::

    [project.entry-points."pi0_ros.strategies"]
    patient = "my_lab.patient:Patient"

Names are known without importing anything, so that ``--help`` stays quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class ExtensionError(ValueError):
    """A name that is not in the table, or a part that cannot be loaded; says which and the fix."""


@dataclass(frozen=True, slots=True)
class ExtensionPoint:
    """A table from names to parts. ``what`` names one part in messages.

    ``built_in`` maps names to "module:attribute"; other packages add to the entry-point ``group``.
    """

    what: str
    group: str
    built_in: tuple[tuple[str, str], ...]

    def names(self) -> tuple[str, ...]:
        """Every known name, the built-in ones first. Raises ExtensionError if two are equal."""
        return tuple(_targets(self))

    def load(self, name: str) -> Any:
        """The part of this name. Raises :class:`ExtensionError`."""
        targets = _targets(self)
        if name not in targets:
            raise ExtensionError(
                f"unknown {self.what} {name!r}; there are {', '.join(targets)}, and an installed"
                f" package may add one to the entry-point group {self.group}"
            )
        return _loaded(self, name)


@cache
def _targets(point: ExtensionPoint) -> Mapping[str, str]:
    targets = dict(point.built_in)
    for entry in entry_points(group=point.group):
        if targets.get(entry.name, entry.value) != entry.value:
            raise ExtensionError(
                f"{entry.value} adds the {point.what} {entry.name!r}, which exists already;"
                " rename the entry point"
            )
        targets[entry.name] = entry.value
    return targets


@cache
def _loaded(point: ExtensionPoint, name: str) -> Any:
    target = _targets(point)[name]
    try:
        if name in dict(point.built_in):
            module, _, attribute = target.partition(":")
            return getattr(import_module(module), attribute)
        return EntryPoint(name, target, point.group).load()
    except (ImportError, AttributeError) as error:
        raise ExtensionError(
            f"{point.what} {name!r} ({target}) cannot be loaded: {error}"
        ) from error


def forget() -> None:
    """Look for installed packages again, as after one was installed meanwhile."""
    _targets.cache_clear()
    _loaded.cache_clear()


STRATEGIES = ExtensionPoint(
    "chunk strategy",
    "pi0_ros.strategies",
    (
        ("sequential", "pi0_ros.policy.strategy.sequential:Sequential"),
        ("temporal_ensemble", "pi0_ros.policy.strategy.ensemble:TemporalEnsemble"),
        ("rtc", "pi0_ros.policy.strategy.rtc:RealTimeChunking"),
    ),
)
