"""Layers: which stick, button or key moves which target. One layer is active at a time.

An input is bound to a target of :mod:`pi0_bringup.teleoperation.jogging` or to ``selected``, the
dimension that is selected. A button or key may also be bound to an action: ``next_layer``,
``next_joint`` or ``previous_joint``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pi0_ros.embodiment import Embodiment

#: Bindings of a button or key that move nothing.
ACTIONS = ("next_layer", "next_joint", "previous_joint")
_SELECTED = "selected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Targets by axis, by button and by key; "" for none."""

    name: str
    axes: tuple[str, ...] = ()
    buttons: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)

    def targets(self) -> tuple[str, ...]:
        """Every target and action that is bound."""
        return tuple(filter(None, (*self.axes, *self.buttons, *self.keys.values())))


class Layers:
    """The active layer and the selected dimension.

    Raises ValueError if there is no layer, or if ``check`` refuses a target.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        dimensions: Sequence[str],
        check: Callable[[str], None],
    ) -> None:
        if not layers:
            raise ValueError("layers is empty; name at least one")
        for layer in layers:
            for target in layer.targets():
                if target.removeprefix("-") != _SELECTED and target not in ACTIONS:
                    _checked(check, layer, target)
        self._layers = tuple(layers)
        self._dimensions = tuple(dimensions)
        self._layer = 0
        self._selected = 0

    @property
    def layer(self) -> Layer:
        """The active layer."""
        return self._layers[self._layer]

    @property
    def all(self) -> tuple[Layer, ...]:
        """Every layer."""
        return self._layers

    @property
    def selected(self) -> str:
        """The dimension that ``selected`` moves."""
        return self._dimensions[self._selected]

    def act(self, action: str) -> None:
        """Carry out an action; any other binding does nothing here."""
        if action == "next_layer":
            self._layer = (self._layer + 1) % len(self._layers)
        elif action in ("next_joint", "previous_joint"):
            step = 1 if action == "next_joint" else -1
            self._selected = (self._selected + step) % len(self._dimensions)

    def resolved(self, target: str) -> str:
        """The target with ``selected`` replaced by the dimension's name."""
        sign = "-" if target.startswith("-") else ""
        return sign + self.selected if target.removeprefix("-") == _SELECTED else target


class Gamepad:
    """A gamepad: shares of targets from the axes and buttons of a message."""

    def __init__(self, layers: Layers, dead_zone: float) -> None:
        if not 0.0 <= dead_zone < 1.0:
            raise ValueError(f"dead_zone is {dead_zone}; give a share from 0 to below 1")
        self.layers = layers
        self._dead_zone = dead_zone
        self._pressed: frozenset[int] = frozenset()

    def missing(self, axes: Sequence[float], buttons: Sequence[int]) -> str | None:
        """Which bound input the gamepad lacks, or None."""
        for layer in self.layers.all:
            for what, bound, has in (
                ("axes", layer.axes, len(axes)),
                ("buttons", layer.buttons, len(buttons)),
            ):
                last = max((i for i, target in enumerate(bound) if target), default=-1)
                if last >= has:
                    return (
                        f"layer {layer.name!r} binds number {last} (from 0) of the {what} and "
                        f"the gamepad has {has} {what}"
                    )
        return None

    def read(self, axes: Sequence[float], buttons: Sequence[int]) -> dict[str, float]:
        """Share of each target, in -1 .. 1; newly pressed buttons carry out their actions."""
        pressed = frozenset(i for i, down in enumerate(buttons) if down)
        for i in sorted(pressed - self._pressed):
            if i < len(self.layers.layer.buttons):
                self.layers.act(self.layers.layer.buttons[i])
        self._pressed = pressed
        layer, shares = self.layers.layer, dict[str, float]()
        bound = [(t, self._share(v)) for t, v in zip(layer.axes, axes, strict=False)]
        bound += [(t, float(bool(b))) for t, b in zip(layer.buttons, buttons, strict=False)]
        for target, share in bound:
            if target and share and target not in ACTIONS:
                name = self.layers.resolved(target)
                shares[name] = shares.get(name, 0.0) + share
        return shares

    def _share(self, value: float) -> float:
        """Zero within the dead zone, then linear up to full deflection."""
        beyond = abs(value) - self._dead_zone
        if not beyond > 0.0:  # NaN too
            return 0.0
        return float(min(beyond / (1.0 - self._dead_zone), 1.0)) * (1.0 if value > 0.0 else -1.0)


def default_layers(embodiment: Embodiment) -> tuple[Layer, ...]:
    """Layers for any robot: one joint at a time, and the base if there is one.

    Axes and buttons are numbered as joy_node numbers those of an Xbox gamepad.
    """
    select = {"left": "previous_joint", "right": "next_joint"}
    layers = [
        Layer(
            name="joints",
            axes=("", _SELECTED),
            buttons=("next_joint", "", "previous_joint", "", "", "", "", "next_layer"),
            keys={"up": _SELECTED, "down": f"-{_SELECTED}", **select},
        )
    ]
    axis = {d.joint: d.name for d in embodiment.action if d.state is None}
    if axis:
        forward, aside, turn = (axis.get(j, "") for j in ("linear.x", "linear.y", "angular.z"))
        keys = {"up": forward, "down": _reverse(forward), "left": turn, "right": _reverse(turn)}
        keys |= {"a": aside, "d": _reverse(aside)}
        layers.append(
            Layer(
                name="base",
                axes=(turn, forward, "", aside),
                buttons=(*[""] * 7, "next_layer"),
                keys={key: target for key, target in keys.items() if target},
            )
        )
    return tuple(layers)


def _reverse(target: str) -> str:
    return f"-{target}" if target else ""


def _checked(check: Callable[[str], None], layer: Layer, target: str) -> None:
    try:
        check(target)
    except ValueError as error:
        raise ValueError(f"layer {layer.name!r}: {error}") from error
