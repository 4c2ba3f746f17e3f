"""The choice of a chunk strategy by name and options, from the table of extensions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from pi0_ros.extensions import STRATEGIES, UnknownEntryError
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.strategy.base import ChunkTiming, Strategy


def strategies() -> dict[str, type[Strategy]]:
    """Every strategy that can be loaded, by name."""
    found = {}
    for name in STRATEGIES.names():
        with suppress(PolicyError):  # a broken package harms only those who choose its strategy
            found[name] = _strategy(name)
    return found


def _strategy(name: str) -> type[Strategy]:
    try:
        loaded = STRATEGIES.get(name)
    except UnknownEntryError as error:
        raise PolicyError(str(error)) from error
    if not (issubclass(loaded, Strategy) and loaded.name == name):
        raise PolicyError(f"chunk strategy {name!r} must be a subclass of Strategy of that name")
    return loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyChoice:
    """``name`` of a strategy, or "" for the best that the backend can; options by strategy name.

    An absent entry of ``options`` stands for that strategy's defaults.
    """

    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name and self.name not in STRATEGIES.names():
            raise PolicyError(
                f"strategy is {self.name!r}; give one of {', '.join(STRATEGIES.names())},"
                " or leave it empty for the best the checkpoint can"
            )

    def options_of(self, strategy: type[Strategy]) -> Any:
        """The chosen or the default options of a strategy."""
        given = self.options.get(strategy.name)
        return strategy.Options() if given is None else given

    def make(self, timing: ChunkTiming, *, can_continue: bool) -> Strategy:
        """The strategy. Raises :class:`PolicyError` for one that the backend cannot follow."""
        strategy = _strategy(self.name or ("rtc" if can_continue else "sequential"))
        if strategy.needs_continuation and not can_continue:
            raise PolicyError(
                f"strategy is {strategy.name!r} and this policy cannot continue a chunk: only π0"
                " and π0.5 in this process can, π0-small and remote servers cannot; use"
                " strategy:=sequential"
            )
        return strategy(timing, self.options_of(strategy))


def option_defaults() -> dict[str, tuple[Any, str]]:
    """Every strategy option as a ROS parameter: name to default and description."""
    return {
        strategy.option_prefix + option.name: (option.default, option.metadata["description"])
        for strategy in strategies().values()
        for option in fields(strategy.Options)
    }


def choose(name: str, values: Mapping[str, Any]) -> StrategyChoice:
    """A choice from the values of the parameters that :func:`option_defaults` names.

    Raises :class:`PolicyError` for a name or a value that means nothing.
    """
    options = {
        strategy.name: strategy.Options(
            **{
                option.name: values[strategy.option_prefix + option.name]
                for option in fields(strategy.Options)
            }
        )
        for strategy in strategies().values()
    }
    return StrategyChoice(name=name, options=options)
