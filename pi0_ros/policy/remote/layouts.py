"""The layouts of an observation in the message that openpi calls `obs`.

The names are those of openpi's robot input transforms (``aloha_policy``, ``droid_policy`` and its
UR5 example). :class:`WireFormat` writes and reads them for one embodiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pi0_ros.embodiment import CAMERA_SLOTS, Embodiment
from pi0_ros.policy.errors import PolicyError
from pi0_ros.policy.remote.protocol import ProtocolError
from pi0_ros.policy.types import Observation
from pi0_ros.sync import resize_with_pad

_BASE, _LEFT_WRIST, _ = CAMERA_SLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatLayout:
    """All keys at the top level: state parts of fixed width, and one key per camera slot."""

    state: tuple[tuple[str, int], ...]
    views: Mapping[str, str]

    def fits(self, embodiment: Embodiment) -> bool:
        """Whether it has the embodiment's cameras and its number of state dimensions."""
        slots = {camera.slot for camera in embodiment.cameras}
        width = sum(count for _, count in self.state)
        return slots == set(self.views) and width == len(embodiment.state)


#: The layout that fits every embodiment: ``state``, and ``images`` by camera name, as ALOHA has.
NESTED = "images"
#: Layouts of single arms with one camera on the table and one on the wrist.
FLAT_LAYOUTS: Mapping[str, FlatLayout] = {
    "droid": FlatLayout(
        state=(("observation/joint_position", 7), ("observation/gripper_position", 1)),
        views={
            _BASE: "observation/exterior_image_1_left",
            _LEFT_WRIST: "observation/wrist_image_left",
        },
    ),
    "ur5": FlatLayout(
        state=(("joints", 6), ("gripper", 1)),
        views={_BASE: "base_rgb", _LEFT_WRIST: "wrist_rgb"},
    ),
}
#: Cameras that openpi's ALOHA clients may send and its policies ignore.
_UNUSED_CAMERAS = frozenset({"cam_low"})


class WireFormat:
    """Converts observations of one embodiment to messages, and back."""

    def __init__(self, embodiment: Embodiment) -> None:
        self._embodiment = embodiment
        by_slot = {camera.slot: camera.name for camera in embodiment.cameras}
        # In slot order, as the views of an Observation are.
        self._cameras = {slot: by_slot[slot] for slot in CAMERA_SLOTS if slot in by_slot}
        self._flat = {n: layout for n, layout in FLAT_LAYOUTS.items() if layout.fits(embodiment)}

    @property
    def layouts(self) -> tuple[str, ...]:
        """Names of the layouts that fit the embodiment."""
        return (NESTED, *self._flat)

    def encode(self, observation: Observation, layout: str = NESTED) -> dict[str, Any]:
        """The message for an openpi server. Raises :class:`PolicyError` on an unknown layout."""
        if layout not in self.layouts:
            raise PolicyError(
                f"layout {layout!r} does not fit {self._embodiment.name};"
                f" give one of {', '.join(self.layouts)}"
            )
        state = observation.state.astype(np.float32)
        views = dict(zip(self._cameras, observation.images, strict=True))
        message: dict[str, Any] = {"prompt": observation.prompt}
        if layout == NESTED:
            # openpi's ALOHA transform only accepts channels first.
            images = {self._cameras[s]: view.transpose(2, 0, 1) for s, view in views.items()}
            return message | {"state": state, "images": images}
        flat, start = self._flat[layout], 0
        for key, count in flat.state:
            message[key] = state[start : start + count]
            start += count
        return message | {flat.views[slot]: view for slot, view in views.items()}

    def decode(self, message: Any, size: int, default_prompt: str) -> Observation:
        """The observation in a client's message, views resized with padding to ``size``.

        Raises :class:`ProtocolError` naming the key that is missing, unknown or wrong.
        """
        if not isinstance(message, dict):
            raise ProtocolError(f"the observation is {type(message).__name__}, a map expected")
        if "state" in message or "images" in message:
            state = _numbers(message, "state", len(self._embodiment.state))
            views = self._nested_views(_entry(message, "images"))
        else:
            layout = self._recognise(message)
            state = np.concatenate([_numbers(message, *piece) for piece in layout.state])
            views = {key: _entry(message, key) for key in self._flat_keys(layout)}
        return Observation(
            images=np.stack([_square(key, view, size) for key, view in views.items()]),
            slot_mask=self._embodiment.slot_mask,
            state=state,
            prompt=_prompt(message, default_prompt),
            stamp_ns=0,
        )

    def _recognise(self, message: Mapping[str, Any]) -> FlatLayout:
        for layout in self._flat.values():
            if any(key in message for key, _ in layout.state):
                return layout
        expected = ["state, images", *(", ".join(self._keys(f)) for f in self._flat.values())]
        raise ProtocolError(
            f"the observation has the keys {', '.join(map(str, message)) or '(none)'};"
            f" {self._embodiment.name} expects {' or '.join(expected)}"
        )

    def _keys(self, layout: FlatLayout) -> tuple[str, ...]:
        return (*(key for key, _ in layout.state), *self._flat_keys(layout))

    def _flat_keys(self, layout: FlatLayout) -> tuple[str, ...]:
        return tuple(layout.views[slot] for slot in self._cameras)

    def _nested_views(self, images: Any) -> dict[str, Any]:
        names = tuple(self._cameras.values())
        if not isinstance(images, dict):
            raise ProtocolError(f"images is {type(images).__name__}, a map of cameras expected")
        unknown = [str(name) for name in images if name not in {*names, *_UNUSED_CAMERAS}]
        if unknown:
            raise ProtocolError(
                f"unknown camera {', '.join(unknown)}; {self._embodiment.name} has"
                f" {', '.join(names)}"
            )
        missing = [name for name in names if name not in images]
        if missing:
            raise ProtocolError(f"no image of {', '.join(missing)} in images")
        return {name: images[name] for name in names}


def _entry(message: Mapping[str, Any], key: str) -> Any:
    if key not in message:
        raise ProtocolError(f"the observation has no {key!r}, only {', '.join(map(str, message))}")
    return message[key]


def _numbers(message: Mapping[str, Any], key: str, count: int) -> NDArray[np.float64]:
    value = _entry(message, key)
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise ProtocolError(f"{key!r} is {type(value).__name__}, numbers expected") from None
    if numbers.shape != (count,):
        raise ProtocolError(
            f"{key!r} has shape {numbers.shape}, ({count},) expected: one state, without a batch"
        )
    if not np.isfinite(numbers).all():
        raise ProtocolError(f"{key!r} is not finite: {numbers.tolist()}")
    return numbers


def _prompt(message: Mapping[str, Any], default: str) -> str:
    prompt = message.get("prompt", default)
    if isinstance(prompt, np.ndarray) and prompt.ndim == 0:
        prompt = prompt.item()
    if not isinstance(prompt, str) or not prompt.strip():
        raise ProtocolError(
            f"'prompt' is {prompt!r}; send an instruction, or start the server with --prompt"
        )
    return prompt


def _square(key: str, view: Any, size: int) -> NDArray[np.uint8]:
    """A view (H, W, 3) or (3, H, W) as uint8 (size, size, 3)."""
    if not isinstance(view, np.ndarray):
        raise ProtocolError(f"image {key!r} is {type(view).__name__}, an array expected")
    if view.ndim != 3 or 3 not in (view.shape[0], view.shape[2]):
        raise ProtocolError(
            f"image {key!r} has shape {view.shape}; send (H, W, 3) or (3, H, W), one picture"
        )
    if 0 in view.shape:
        raise ProtocolError(f"image {key!r} is empty: {view.shape}")
    image = view if view.shape[2] == 3 else view.transpose(1, 2, 0)
    pixels = _eight_bits(key, image)
    return pixels if pixels.shape == (size, size, 3) else resize_with_pad(pixels, size)


def _eight_bits(key: str, image: NDArray[Any]) -> NDArray[np.uint8]:
    """The image as uint8; floats in [0, 1] are scaled and truncated, as openpi does."""
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind != "f" or not (image.min() >= 0.0 and image.max() <= 1.0):
        raise ProtocolError(f"image {key!r} is {image.dtype}; send uint8, or floats in [0, 1]")
    return (255.0 * image).astype(np.uint8)
