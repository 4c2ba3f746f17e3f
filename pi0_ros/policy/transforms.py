"""The single steps between robot values and model inputs, as frozen dataclasses and functions.

Vectors are float64 in embodiment order until they are padded. ``inverse`` undoes ``forward``. The
exception is a checkpoint whose own code adds ``eps`` in one direction only (``inverse_eps`` is then
another number than ``eps``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pi0_ros.arrays import FloatArray
from pi0_ros.embodiment import Embodiment
from pi0_ros.policy.errors import PolicyError

#: Bins of the state in a π0.5 prompt, over [-1, 1].
STATE_BINS = 256


@dataclass(frozen=True, slots=True)
class ZScore:
    """``(x - mean) / (std + eps)``, as openpi normalises for π0. Arrays (D,).

    The inverse multiplies by ``std + inverse_eps``: ``eps`` in openpi, 0 in LeRobot.
    """

    mean: FloatArray
    std: FloatArray
    eps: float
    inverse_eps: float

    def forward(self, values: FloatArray) -> FloatArray:
        """Normalise (..., D)."""
        result: FloatArray = (values - self.mean) / (self.std + self.eps)
        return result

    def inverse(self, normalised: FloatArray) -> FloatArray:
        """Undo :meth:`forward`."""
        result: FloatArray = normalised * (self.std + self.inverse_eps) + self.mean
        return result


@dataclass(frozen=True, slots=True)
class Quantile:
    """``2 (x - q01) / (q99 - q01 + eps) - 1``, as openpi normalises for π0.5. Arrays (D,).

    The inverse multiplies by ``q99 - q01 + inverse_eps``.
    """

    q01: FloatArray
    q99: FloatArray
    eps: float
    inverse_eps: float

    def forward(self, values: FloatArray) -> FloatArray:
        """Map [q01, q99] to [-1, 1]; values (..., D) outside are not clipped."""
        result: FloatArray = 2.0 * (values - self.q01) / (self.q99 - self.q01 + self.eps) - 1.0
        return result

    def inverse(self, normalised: FloatArray) -> FloatArray:
        """Undo :meth:`forward`."""
        span = self.q99 - self.q01 + self.inverse_eps
        result: FloatArray = (normalised + 1.0) / 2.0 * span + self.q01
        return result


@dataclass(frozen=True, slots=True)
class DeltaActions:
    """Makes actions relative to the state at the chunk's start where ``mask`` is true.

    ``state_index`` (A,) is the state dimension that each action is relative to; it is only read
    where ``mask`` (A,) is true. All H steps are relative to the same state.
    """

    mask: NDArray[np.bool_]
    state_index: NDArray[np.intp]

    @classmethod
    def of(cls, embodiment: Embodiment, mask: Sequence[bool]) -> DeltaActions:
        """Match actions to states by name. Raises :class:`PolicyError` for an unmeasured action."""
        places = {name: index for index, name in enumerate(embodiment.state_names)}
        unmeasured = [
            action.name
            for action, delta in zip(embodiment.action, mask, strict=True)
            if delta and action.state is None
        ]
        if unmeasured:
            raise PolicyError(
                f"the checkpoint predicts {', '.join(unmeasured)} relative to the state, but"
                f" {embodiment.name} measures no such state; clear them in delta_mask"
            )
        index = [0 if a.state is None else places[a.state] for a in embodiment.action]
        return cls(np.array(mask, dtype=np.bool_), np.array(index, dtype=np.intp))

    def forward(self, actions: FloatArray, state: FloatArray) -> FloatArray:
        """Convert absolute actions (..., A) to relative ones, given the state (S,)."""
        return actions - self._base(state)

    def inverse(self, actions: FloatArray, state: FloatArray) -> FloatArray:
        """Convert relative actions (..., A) to absolute ones, given the state (S,)."""
        return actions + self._base(state)

    def _base(self, state: FloatArray) -> FloatArray:
        return np.where(self.mask, state[self.state_index], 0.0)


def place_views(
    images: NDArray[np.uint8], slot_mask: Sequence[bool], order: Sequence[int] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Put views (present, H, W, 3) uint8 in all slots (V, 3, H, W) float32 in [-1, 1]; mask (V,).

    An absent view is black (-1) in its slot, with mask false. ``order`` gives the index in
    ``images`` for each present slot in turn; by default they stay in their order.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise PolicyError(
            f"images are {images.dtype} of shape {images.shape}; give uint8 (views, H, W, 3)"
        )
    mask = np.array(slot_mask, dtype=np.bool_)
    if len(images) != mask.sum():
        raise PolicyError(f"{len(images)} views for {int(mask.sum())} present camera slots")
    _, height, width, _ = images.shape
    placed = np.full((len(mask), 3, height, width), -1.0, dtype=np.float32)
    channels_first = images.transpose(0, 3, 1, 2)
    views = channels_first * np.float32(2.0 / 255.0) - np.float32(1.0)
    placed[mask] = views if order is None else views[list(order)]
    return placed, mask


def clean_prompt(prompt: str) -> str:
    """Strip; make underscores and line breaks spaces, as openpi does. Raises on an empty prompt."""
    text = prompt.strip().replace("_", " ").replace("\n", " ")
    if not text.strip():
        raise PolicyError("the prompt is empty; set the parameter or publish on topic prompt")
    return text


def state_bins(normalised: FloatArray) -> NDArray[np.intp]:
    """Bins 0..255 over [-1, 1] of a normalised, unpadded state (S,).

    Values below -1 get bin -1, values above 1 the last bin. Source: openpi
    ``PaligemmaTokenizer.tokenize``.
    """
    edges = np.linspace(-1.0, 1.0, STATE_BINS + 1)[:-1]
    return np.digitize(normalised, edges) - 1


def state_prompt(text: str, normalised_state: FloatArray) -> str:
    """The prompt of π0.5, which contains the cleaned text and the normalised state (S,)."""
    bins = " ".join(str(value) for value in state_bins(normalised_state))
    return f"Task: {text}, State: {bins};\nAction: "
