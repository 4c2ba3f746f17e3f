"""The contents of a checkpoint folder of any layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

from pi0_ros.checkpoint.manifest import CheckpointManifest, RobotTransformKind, Statistics
from pi0_ros.checkpoint.tensors import LazyTensor
from pi0_ros.model import Pi0Config


class Layout(Enum):
    """The software that wrote a checkpoint."""

    OURS = "pi0_ros"
    OPENPI = "openpi PyTorch"
    JAX = "openpi JAX"
    LEROBOT = "LeRobot"
    LEROBOT_LEGACY = "LeRobot up to 0.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStatistics:
    """Normalisation as stored; widths are not yet checked against a robot.

    ``quantile`` maps two bounds, which may also be minimum and maximum or other quantiles.
    A vector with None in place of statistics is not normalised.
    """

    kind: Literal["zscore", "quantile"]
    eps: float
    inverse_eps: float
    state: Statistics | None
    actions: Statistics | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContents:
    """The contents of a checkpoint folder.

    ``root`` is the folder that holds the weights' companions; ``tensors`` are under our
    names. Fields that the files do not give are None or empty: ``statistics``, ``horizon``,
    ``relative_actions`` (whether actions are relative to the state; LeRobot states it,
    openpi does not) with ``absolute_words`` (actions so called stay absolute),
    ``action_names``, ``cameras`` (in the order of the prefix), ``tokenizer``,
    ``robot_transform`` (which LeRobot's old configuration states), ``state_in_prompt``.
    ``assets`` are the ids of openpi statistics to choose from. ``stored`` counts the
    file's tensors; ``tied`` tells whether the token table is stored as an output head only.
    """

    layout: Layout
    root: Path
    config: Pi0Config
    tensors: Mapping[str, LazyTensor]
    stored: int
    tied: bool = False
    statistics: StoredStatistics | None = None
    no_statistics_because: str = ""
    assets: tuple[str, ...] = ()
    horizon: int | None = None
    relative_actions: bool | None = None
    absolute_words: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    tokenizer: Path | None = None
    robot_transform: RobotTransformKind | None = None
    state_in_prompt: bool | None = None
    manifest: CheckpointManifest | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Dtypes of the tensors as stored, such as ``bfloat16``."""
        return tuple(sorted({str(t.dtype).removeprefix("torch.") for t in self.tensors.values()}))
