"""The description of a checkpoint, stored beside its weights as ``manifest.json``.

Statistics and names are at robot width, in embodiment order, without padding to the
model's width.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter, ValidationError

from pi0_ros.checkpoint.errors import CheckpointError
from pi0_ros.embodiment.types import CAMERA_SLOTS
from pi0_ros.model.config import Pi0Config
from pi0_ros.model.small_config import Pi0SmallConfig

FORMAT_VERSION = 1
#: Conventions of :mod:`pi0_ros.policy.aloha`.
RobotTransformKind = Literal["none", "aloha", "aloha_lerobot"]
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_PI0, _PI0_SMALL = "<pi0>", "<pi0-small>"


def _architecture(model: Any) -> str:
    """π0-small is recognised by parts that only it has, so π0's manifests need no extra key."""
    small = isinstance(model, Pi0SmallConfig) or (
        isinstance(model, dict) and not {"text", "encoder"}.isdisjoint(model)
    )
    return _PI0_SMALL if small else _PI0


ModelConfig = Annotated[
    Annotated[Pi0Config, Tag(_PI0)] | Annotated[Pi0SmallConfig, Tag(_PI0_SMALL)],
    Discriminator(_architecture),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Per dimension, in embodiment units; quantiles (1 % and 99 %) may be unknown."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    q01: tuple[float, ...] | None = None
    q99: tuple[float, ...] | None = None

    __pydantic_config__ = _STRICT

    def check(self, what: str, kind: str, names: tuple[str, ...]) -> None:
        """Raises ValueError unless lists fit ``names`` and ``kind``'s divisors are positive."""
        for key in ("mean", "std", "q01", "q99"):
            values = getattr(self, key)
            if values is not None and len(values) != len(names):
                raise ValueError(
                    f"{what}.{key} has {len(values)} values and {what} has {len(names)} names: "
                    "these statistics belong to another robot"
                )
        if kind == "quantile" and (self.q01 is None or self.q99 is None):
            raise ValueError(
                f"kind is quantile and {what} lacks q01 or q99: add them, or use zscore"
            )
        if kind == "quantile":
            spread, key = np.subtract(self.q99, self.q01), "q99 - q01"  # type: ignore[arg-type]
        else:
            spread, key = np.array(self.std), "std"
        for name, value in zip(names, spread, strict=True):
            if not value > 0:
                raise ValueError(f"{what}.{key} of {name} is {value:g}: it must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """``zscore``: ``(x - mean) / (std + eps)``; ``quantile``: [q01, q99] to [-1, 1].

    The divisor is ``std + eps`` or ``q99 - q01 + eps``. The inverse multiplies by the same
    value with ``inverse_eps``, by default ``eps``: openpi adds it in both directions, LeRobot
    only forward.
    """

    kind: Literal["zscore", "quantile"]
    eps: float
    state: Statistics
    actions: Statistics
    inverse_eps: float = None  # type: ignore[assignment]  # filled in below, never None

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        if self.inverse_eps is None:
            object.__setattr__(self, "inverse_eps", self.eps)
        for key in ("eps", "inverse_eps"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} is {getattr(self, key):g}: it must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointManifest:
    """Which robot a set of weights is for, and how its vectors are prepared.

    ``cameras`` are the model slots used, in the order in which the network saw them;
    ``step_duration_s`` the time between two steps of a chunk; ``delta_mask`` marks action
    dimensions predicted relative to the state; ``tokenizer`` is a file name in the same folder,
    of ``tokenizer_kind``;
    ``robot_transform`` names conventions of the checkpoint other than the embodiment's;
    ``state_in_prompt`` tells whether the prompt contains the state. Only π0.5's does, unless it
    was trained without; then the network gets no state at all;
    ``trained`` is false for random weights; ``notes`` say where the weights come from.

    Raises ValueError where the parts contradict each other.
    """

    format_version: int = FORMAT_VERSION
    name: str
    trained: bool
    embodiment: str
    model: ModelConfig
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    cameras: tuple[str, ...]
    step_duration_s: float
    delta_mask: tuple[bool, ...]
    normalisation: Normalisation
    tokenizer: str
    tokenizer_kind: Literal["sentencepiece", "wordpiece"] = "sentencepiece"
    robot_transform: RobotTransformKind = "none"
    state_in_prompt: bool = None  # type: ignore[assignment]  # filled in below, never None
    notes: dict[str, str] = field(default_factory=dict)

    __pydantic_config__ = _STRICT

    @property
    def horizon(self) -> int:
        """Steps of a chunk."""
        return self.model.action_horizon

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"format_version is {self.format_version}: this release reads {FORMAT_VERSION}"
            )
        for key in ("name", "tokenizer"):
            value = getattr(self, key)
            if not re.fullmatch(r"[\w][\w.+-]*", value):
                raise ValueError(f"{key} is {value!r}: use a plain file name without slashes")
        if not self.step_duration_s > 0:
            raise ValueError(f"step_duration_s is {self.step_duration_s}: it must be above zero")
        self._check_model()
        self._settle_prompt()
        self._check_names()
        self.normalisation.state.check("state", self.normalisation.kind, self.state_names)
        self.normalisation.actions.check("actions", self.normalisation.kind, self.action_names)

    def _check_model(self) -> None:
        small = isinstance(self.model, Pi0SmallConfig)
        kind = "wordpiece" if small else "sentencepiece"
        if self.tokenizer_kind != kind:
            raise ValueError(
                f"tokenizer_kind is {self.tokenizer_kind!r}: "
                f"{'π0-small' if small else 'π0'} reads {kind}, give that tokenizer"
            )
        if isinstance(self.model, Pi0SmallConfig) and self.model.views != len(CAMERA_SLOTS):
            raise ValueError(
                f"model.views is {self.model.views}: the policy fills {len(CAMERA_SLOTS)} camera "
                "slots, use a model with as many views"
            )

    def _settle_prompt(self) -> None:
        can = isinstance(self.model, Pi0Config) and self.model.pi05
        if self.state_in_prompt is None:
            object.__setattr__(self, "state_in_prompt", can)
        if self.state_in_prompt and not can:
            raise ValueError(
                "state_in_prompt is true and only π0.5 reads the state from its prompt: "
                "leave it out, this network has an input for the state"
            )

    def _check_names(self) -> None:
        for key in ("state_names", "action_names", "cameras"):
            names = getattr(self, key)
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{key} is {list(names)}: list at least one, each once")
        for key in ("state_names", "action_names"):
            width = len(getattr(self, key))
            if width > self.model.action_dim:
                raise ValueError(
                    f"{key} has {width} names and the model is {self.model.action_dim} wide: "
                    "use a model with a larger action_dim"
                )
        for slot in self.cameras:
            if slot not in CAMERA_SLOTS:
                raise ValueError(f"camera slot {slot!r} is unknown: use {', '.join(CAMERA_SLOTS)}")
        if len(self.delta_mask) != len(self.action_names):
            raise ValueError(
                f"delta_mask has {len(self.delta_mask)} entries for "
                f"{len(self.action_names)} action_names: give one per action"
            )


_ADAPTER = TypeAdapter(CheckpointManifest)


def to_json(manifest: CheckpointManifest) -> str:
    """The manifest as indented JSON text."""
    return json.dumps(asdict(manifest), indent=2) + "\n"


def read_manifest(path: Path) -> CheckpointManifest:
    """Reads and validates a manifest.

    Raises :class:`CheckpointError` naming file, key, value and fix of every problem.
    """
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error}); copy it again") from error
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        problems = "; ".join(_sentence(e) for e in error.errors(include_url=False))
        raise CheckpointError(f"{path}: {problems}") from error


def _sentence(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if part not in (_PI0, _PI0_SMALL))
    message = error["msg"].removeprefix("Value error, ")
    value = error["input"]
    shown = "" if isinstance(value, dict) else f" (got {value!r})"
    return f"{key}: {message}{shown}" if key else message
