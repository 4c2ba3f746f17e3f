"""Keys of a terminal, which reports presses and their repetition but no releases."""

from __future__ import annotations

from pi0_bringup.teleoperation.layers import ACTIONS, Layers
from pi0_ros.stamps import NS_PER_S

_ARROWS = {"\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left"}
_NAMES = {" ": "space", "\t": "tab", "\x1b": "escape", "\r": "enter", "\n": "enter"}
#: Keys that release the robot at once, in every layer.
RELEASE_KEYS = ("space", "escape")
_NEXT_LAYER = "tab"
_BINDABLE = (*_ARROWS.values(), "enter")


def key_names(text: str) -> list[str]:
    """Names of the keys that a terminal sent: ``a``, ``up``, ``space``, ``escape`` ..."""
    names = []
    while text:
        piece = text[:3] if text[:3] in _ARROWS else text[:1]
        text = text[len(piece) :]
        names.append(_ARROWS.get(piece) or _NAMES.get(piece, piece))
    return names


def check_key(key: str) -> None:
    """Raise ValueError if a layer cannot bind a key of this name."""
    if key in (*RELEASE_KEYS, _NEXT_LAYER):
        raise ValueError(f"key {key!r} has a fixed meaning in every layer; bind another one")
    if key not in _BINDABLE and not (len(key) == 1 and key.isprintable() and key != " "):
        raise ValueError(
            f"no key is called {key!r}; give a single character or one of {', '.join(_BINDABLE)}"
        )


class Keys:
    """Turns each press into motion that lasts ``pulse_s``; a repetition prolongs it.

    The deadman counts as held for ``hold_s`` after the last press that moves a target. This
    spans the pause before a keyboard begins to repeat.
    """

    def __init__(self, layers: Layers, pulse_s: float, hold_s: float) -> None:
        if not 0.0 < pulse_s <= hold_s:
            raise ValueError(
                f"pulse_s is {pulse_s} and hold_s {hold_s}; give a pulse above 0 s and a hold "
                "at least as long"
            )
        self.layers = layers
        self._pulse_ns, self._hold_ns = round(pulse_s * NS_PER_S), round(hold_s * NS_PER_S)
        self._until_ns: dict[str, int] = {}
        self._held_until_ns = 0

    def press(self, key: str, now_ns: int) -> None:
        """Take a key; a key that is not bound does nothing."""
        if key in RELEASE_KEYS:
            self.release()
            return
        target = "next_layer" if key == _NEXT_LAYER else self.layers.layer.keys.get(key, "")
        if target in ACTIONS:
            self._until_ns.clear()
            self.layers.act(target)
        elif target:
            name = self.layers.resolved(target)
            opposite = name.removeprefix("-") if name.startswith("-") else f"-{name}"
            self._until_ns.pop(opposite, None)
            self._until_ns[name] = now_ns + self._pulse_ns
            self._held_until_ns = now_ns + self._hold_ns

    def release(self) -> None:
        """Stop every motion and release the deadman."""
        self._until_ns.clear()
        self._held_until_ns = 0

    def held(self, now_ns: int) -> bool:
        """Whether the deadman counts as held."""
        return now_ns < self._held_until_ns

    def shares(self, now_ns: int) -> dict[str, float]:
        """Targets that move now, each at full speed."""
        return {target: 1.0 for target, until_ns in self._until_ns.items() if now_ns < until_ns}
